package refresh

import (
	"context"
	"fmt"
	"slices"
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
	well, bad          []mtasts.Domain // due
	isBad              map[mtasts.Domain]bool
	active, failing    int // under way
	mostActive, mostOf int // at any time; mostOf of failing
	done, wellDone     int
	lost               bool // what jobs do cannot be saved: they stay due
}

func (l *line) Due(failing bool, yield func(mtasts.Domain) bool) {
	l.mu.Lock()
	due := l.well
	if failing {
		due = l.bad
	}
	due = slices.Clone(due)
	l.mu.Unlock()
	for _, d := range due {
		if !yield(d) {
			return
		}
	}
}

func (l *line) Ready() bool { return true }

func (l *line) Do(ctx context.Context, d mtasts.Domain) {
	bad := l.count(d, 1)
	if !l.lost {
		select {
		case <-time.After(time.Hour):
		case <-ctx.Done():
		}
	}
	l.count(d, -1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.done++
	if !bad {
		l.wellDone++
	}
	if !l.lost {
		is := func(other mtasts.Domain) bool { return other == d }
		l.well, l.bad = slices.DeleteFunc(l.well, is), slices.DeleteFunc(l.bad, is)
	}
}

func (l *line) count(d mtasts.Domain, n int) (bad bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.active += n
	if l.isBad[d] {
		l.failing += n
	}
	l.mostActive, l.mostOf = max(l.mostActive, l.active), max(l.mostOf, l.failing)
	return l.isBad[d]
}

func newLine(t *testing.T, failing, well int) *line {
	l := &line{t: t, isBad: map[mtasts.Domain]bool{}}
	for i := range failing + well {
		d, err := mtasts.ParseDomain(fmt.Sprintf("d%d.example", i))
		if err != nil {
			t.Fatal(err)
		}
		if i < failing {
			l.bad = append(l.bad, d)
			l.isBad[d] = true
		} else {
			l.well = append(l.well, d)
		}
	}
	return l
}

func TestScheduler(t *testing.T) {
	for _, tc := range []struct {
		workers, failing, well int
		most, mostOf           int
	}{
		{16, 0, 100, 16, 0},
		{16, 100, 0, 4, 4},    // failing domains alone do not get all workers
		{16, 100, 100, 16, 4}, // and do not delay the others
		{1, 3, 3, 1, 1},       // nor are they left out for ever
	} {
		t.Run(fmt.Sprintf("%d workers, %d failing, %d well", tc.workers, tc.failing, tc.well), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := newLine(t, tc.failing, tc.well)
				stop := run(t, l, tc.workers)
				time.Sleep(100 * time.Hour)
				stop()
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

// run runs a Scheduler until the returned function is called.
func run(t *testing.T, l *line, workers int) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan bool)
	go func() {
		NewScheduler(l, func() int { return workers }).Run(ctx)
		close(ended)
	}()
	return func() {
		cancel()
		<-ended
	}
}

// However many domains fail, the others do not wait while a worker is free.
func TestFailingDomainsDelayNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, well = 16, 12 * 5
		l := newLine(t, 5000, well)
		defer run(t, l, workers)()
		time.Sleep(5*time.Hour + time.Minute) // 12 workers, 5 rounds
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.wellDone != well {
			t.Errorf("%d of %d healthy domains are done", l.wellDone, well)
		}
	})
}

// Jobs whose outcome cannot be saved stay due. They are not done again and
// again, and do not keep others out.
func TestJobsThatStayDue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := newLine(t, 50, 100)
		l.lost = true
		defer run(t, l, 4)()
		time.Sleep(10*time.Minute + time.Second)
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.done < 150*5 || l.done > 150*11 {
			t.Errorf("%d jobs done in ten minutes, want each once in one to two minutes", l.done)
		}
	})
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
