package refresh

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

func TestAfter(t *testing.T) {
	const day = 24 * time.Hour
	for _, tc := range []struct {
		interval, maxAge time.Duration
		random           float64
		want             time.Duration
	}{
		{day, 365 * day, 0.5, day},
		{day, 365 * day, 0, day * 9 / 10},
		{day, 365 * day, 1, day * 11 / 10},
		{day, 2 * day, 0.5, day},
		{day, day, 0.5, 12 * time.Hour},
		{day, 2 * time.Second, 0.5, time.Second},
		{day, 0, 0.5, 0},
	} {
		got := After(tc.interval, tc.maxAge, tc.random)
		if diff := (got - tc.want).Abs(); diff > time.Millisecond {
			t.Errorf("After(%v, %v, %v) = %v, want %v", tc.interval, tc.maxAge, tc.random, got, tc.want)
		}
	}
}

func TestBackoff(t *testing.T) {
	for failures, minutes := range map[int]time.Duration{1: 5, 2: 10, 3: 20, 4: 40, 5: 60, 6: 60, 1000: 60} {
		if got := Backoff(failures); got != minutes*time.Minute {
			t.Errorf("Backoff(%d) = %v, want %d min", failures, got, minutes)
		}
	}
}

// line is a queue of jobs that take an hour each and are due at once.
type line struct {
	t *testing.T

	mu                 sync.Mutex
	jobs               []Job
	active, failing    int // under way
	mostActive, mostOf int // at any time; mostOf of failing
	done, postponed    int
}

func (l *line) Due(limit int) []Job {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Job(nil), l.jobs[:min(limit, len(l.jobs))]...)
}

func (l *line) Do(ctx context.Context, job Job) {
	l.count(job, 1)
	select {
	case <-time.After(time.Hour):
	case <-ctx.Done():
	}
	l.count(job, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	l.drop(job)
}

func (l *line) count(job Job, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active += n
	if job.Failing {
		l.failing += n
	}
	l.mostActive, l.mostOf = max(l.mostActive, l.active), max(l.mostOf, l.failing)
}

// Postpone puts the job behind all others.
func (l *line) Postpone(job Job) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.postponed++
	l.drop(job)
	l.jobs = append(l.jobs, job)
}

func (l *line) drop(job Job) {
	for i, j := range l.jobs {
		if j == job {
			l.jobs = append(l.jobs[:i], l.jobs[i+1:]...)
			return
		}
	}
	l.t.Errorf("%v was done twice", job)
}

func newLine(t *testing.T, failing, well int) *line {
	l := &line{t: t}
	for i := range failing + well {
		d, err := mtasts.ParseDomain(fmt.Sprintf("d%d.example", i))
		if err != nil {
			t.Fatal(err)
		}
		l.jobs = append(l.jobs, Job{d, i < failing})
	}
	return l
}

func TestScheduler(t *testing.T) {
	for _, tc := range []struct {
		workers, failing, well int
		most, mostOf           int
	}{
		{16, 0, 100, 16, 0},
		{16, 100, 0, 4, 4},    // failing hosts alone do not get all workers
		{16, 100, 100, 16, 4}, // and do not hold up the others
		{1, 3, 3, 1, 1},       // nor are they left out for ever
	} {
		t.Run(fmt.Sprintf("%d workers, %d failing, %d well", tc.workers, tc.failing, tc.well), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, tc.failing, tc.well)
				ctx, cancel := context.WithCancel(t.Context())
				ended := make(chan bool)
				go func() {
					NewScheduler(l, func() int { return tc.workers }).Run(ctx)
					close(ended)
				}()
				time.Sleep(100 * time.Hour)
				cancel()
				<-ended
				if l.done != tc.failing+tc.well {
					t.Errorf("%d jobs done, want %d", l.done, tc.failing+tc.well)
				}
				if l.mostActive != tc.most || l.mostOf != tc.mostOf {
					t.Errorf("%d at once, %d of them failing; want %d and %d", l.mostActive, l.mostOf, tc.most, tc.mostOf)
				}
			})
		})
	}
}

func TestSchedulerStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 0, 100)
		ctx, cancel := context.WithCancel(t.Context())
		start := time.Now()
		time.AfterFunc(time.Minute, cancel)
		NewScheduler(l, func() int { return 16 }).Run(ctx)
		if took := time.Since(start); took != time.Minute || l.active != 0 {
			t.Errorf("ended after %v with %d jobs under way", took, l.active)
		}
	})
}
