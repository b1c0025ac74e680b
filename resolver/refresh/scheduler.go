package refresh

import (
	"context"
	"sync"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// interval is how often the queue is asked while no job is done. Jobs are due
	// to the minute; asking costs microseconds.
	interval = 30 * time.Second
	// failingShare of the workers at most are used for domains whose last refresh
	// failed, because each may take its worker until a time limit.
	failingShare = 4
	// minPause is how long a domain is left alone after its job. If the job's outcome
	// could not be saved, the domain is still due.
	minPause = time.Minute
)

// Queue is where due work comes from.
type Queue interface {
	// Due yields the domains that are due, the longest due first: those whose last
	// refresh failed, or the others.
	Due(failing bool, yield func(mtasts.Domain) bool)
	// Ready reports whether jobs make sense at present.
	Ready() bool
	// Do does a domain's job. Afterwards it is not due any more.
	Do(ctx context.Context, d mtasts.Domain)
}

// Scheduler does the jobs of a Queue as they come due. Domains whose refresh fails
// get at most a quarter of the workers; the others never wait while a worker is free,
// however many fail.
type Scheduler struct {
	queue   Queue
	workers func() int

	mu       sync.Mutex
	underway map[mtasts.Domain]bool      // true: of the failing queue
	failing  int                         // of these
	resting  map[mtasts.Domain]time.Time // when the job was done, for minPause
	finished chan struct{}               // notified when a job has been done
}

// NewScheduler returns a Scheduler that does as many jobs at once as workers
// returns, which it calls each time.
func NewScheduler(q Queue, workers func() int) *Scheduler {
	return &Scheduler{queue: q, workers: workers, underway: map[mtasts.Domain]bool{},
		resting: map[mtasts.Domain]time.Time{}, finished: make(chan struct{}, 1)}
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
			s.wake()
		case <-s.finished:
		}
	}
}

// wake removes the domains that have rested long enough.
func (s *Scheduler) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for d, done := range s.resting {
		if time.Since(done) >= minPause {
			delete(s.resting, d)
		}
	}
}

// dispatch starts jobs that are due, as far as workers are free.
func (s *Scheduler) dispatch(ctx context.Context, jobs *sync.WaitGroup) {
	if !s.queue.Ready() {
		return
	}
	workers := s.workers()
	for _, failing := range []bool{false, true} {
		s.queue.Due(failing, func(d mtasts.Domain) bool {
			switch s.admit(d, failing, workers) {
			case start:
				jobs.Go(func() {
					s.queue.Do(ctx, d)
					s.done(d)
				})
			case full:
				return false // until one has finished
			}
			return ctx.Err() == nil
		})
	}
}

type admission int

const (
	start admission = iota
	skip            // its job is under way, or was done a moment ago
	full            // no worker is free for this queue
)

func (s *Scheduler) admit(d mtasts.Domain, failing bool, workers int) admission {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.underway) >= workers || failing && s.failing >= max(1, workers/failingShare) {
		return full
	}
	_, active := s.underway[d]
	if done, rests := s.resting[d]; active || rests && time.Since(done) < minPause {
		return skip
	}
	s.underway[d] = failing
	if failing {
		s.failing++
	}
	return start
}

func (s *Scheduler) done(d mtasts.Domain) {
	s.mu.Lock()
	if s.underway[d] {
		s.failing--
	}
	delete(s.underway, d)
	s.resting[d] = time.Now()
	s.mu.Unlock()
	select {
	case s.finished <- struct{}{}:
	default: // a notification waits already
	}
}
