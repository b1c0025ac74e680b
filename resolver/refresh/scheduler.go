package refresh

import (
	"context"
	"maps"
	"sync"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// interval is how often the queue is asked while no job is done. Jobs are
	// due to the minute; asking costs microseconds.
	interval = 30 * time.Second
	// failingShare of the workers at most are kept busy by hosts that failed
	// the last time, because each may take its worker until a time limit.
	failingShare = 4
)

// Job is a policy that is due.
type Job struct {
	Domain mtasts.Domain
	// Failing is set where its last refresh failed.
	Failing bool
}

// Queue is where due work comes from.
type Queue interface {
	// Due returns at most limit jobs that are due, the longest due first.
	Due(limit int) []Job
	// Do does a job. Afterwards the job is not due any more.
	Do(ctx context.Context, job Job)
	// Postpone makes a job due a little later, so that others come first.
	Postpone(job Job)
}

// Scheduler does the jobs of a Queue as they come due.
type Scheduler struct {
	queue   Queue
	workers func() int

	mu       sync.Mutex
	underway map[mtasts.Domain]bool
	failing  int           // of these
	finished chan struct{} // told when a job has been done
}

// NewScheduler returns a Scheduler that does as many jobs at once as workers
// says, which is asked anew each time.
func NewScheduler(q Queue, workers func() int) *Scheduler {
	return &Scheduler{queue: q, workers: workers, underway: map[mtasts.Domain]bool{}, finished: make(chan struct{}, 1)}
}

// Run works until ctx ends, and then waits for the jobs under way.
func (s *Scheduler) Run(ctx context.Context) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		s.dispatch(ctx, &jobs)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.finished:
		}
	}
}

// dispatch starts what is due, as far as there are workers.
func (s *Scheduler) dispatch(ctx context.Context, jobs *sync.WaitGroup) {
	workers := s.workers()
	// Noted before the queue is asked: a job that ends in between is in its
	// answer still.
	active := s.active()
	// Jobs under way are due still, so there may be as many again behind them.
	for _, job := range s.queue.Due(2 * workers) {
		if active[job.Domain] {
			continue
		}
		switch s.admit(job, workers) {
		case start:
			jobs.Go(func() {
				s.queue.Do(ctx, job)
				s.done(job)
			})
		case later:
			s.queue.Postpone(job)
		case full:
			return // until one has finished
		}
	}
}

// active returns the domains of the jobs under way.
func (s *Scheduler) active() map[mtasts.Domain]bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.underway)
}

type admission int

const (
	start admission = iota
	later           // too many failing hosts at once
	full            // no worker is free
)

func (s *Scheduler) admit(job Job, workers int) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case len(s.underway) >= workers:
		return full
	case job.Failing && s.failing >= max(1, workers/failingShare):
		return later
	}
	s.underway[job.Domain] = true
	if job.Failing {
		s.failing++
	}
	return start
}

func (s *Scheduler) done(job Job) {
	s.mu.Lock()
	delete(s.underway, job.Domain)
	if job.Failing {
		s.failing--
	}
	s.mu.Unlock()
	select {
	case s.finished <- struct{}{}:
	default: // it has been told already
	}
}
