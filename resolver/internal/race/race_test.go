package race_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/internal/race"
)

const stagger = 250 * time.Millisecond

// script is what one attempt does: after a time it fails, or succeeds where
// err is nil. A stubborn one does so even after its ctx has ended.
type script struct {
	after    time.Duration
	err      error
	stubborn bool
}

// run is the record of a race, in the bubble's time since its start.
type run struct {
	starts    []time.Duration // of each attempt, in order
	cancelled []int           // attempts whose ctx ended, in the order in which they saw it
	discarded []int
	value     int
	err       error
	took      time.Duration
}

// play runs a race of scripts in a bubble and waits for every attempt. The
// value of attempt i is i+1.
func play(t *testing.T, ctx context.Context, scripts ...script) run {
	t.Helper()
	var (
		mu sync.Mutex
		r  run
	)
	began := time.Now()
	attempt := func(ctx context.Context, i int) (int, error) {
		mu.Lock()
		if i != len(r.starts) {
			t.Errorf("attempt %d starts after %d others", i, len(r.starts))
		}
		r.starts = append(r.starts, time.Since(began))
		mu.Unlock()

		done := ctx.Done()
		if scripts[i].stubborn {
			done = nil
		}
		select {
		case <-time.After(scripts[i].after):
			return i + 1, scripts[i].err
		case <-done:
			mu.Lock()
			defer mu.Unlock()
			r.cancelled = append(r.cancelled, i)
			return 0, context.Cause(ctx)
		}
	}
	discard := func(value int) {
		mu.Lock()
		defer mu.Unlock()
		r.discarded = append(r.discarded, value)
	}
	value, err := race.First(ctx, len(scripts), stagger, stagger, attempt, discard)
	took := time.Since(began)

	time.Sleep(time.Hour) // of the bubble: every attempt has ended by then
	mu.Lock()
	defer mu.Unlock()
	r.value, r.err, r.took = value, err, took
	slices.Sort(r.cancelled) // they see it at once, in no order
	slices.Sort(r.discarded)
	return r
}

var errRefused = errors.New("refused")

func TestFirst(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	fails := func(after time.Duration) script { return script{after: after, err: errRefused} }
	answers := func(after time.Duration) script { return script{after: after} }
	late := func(after time.Duration) script { return script{after: after, stubborn: true} }
	hangs := answers(time.Minute)

	tests := []struct {
		name    string
		scripts []script
		want    run
	}{
		{"one alone", []script{answers(10 * ms)},
			run{starts: []time.Duration{0}, value: 1, took: 10 * ms}},
		{"one alone may be slow", []script{answers(10 * time.Second)},
			run{starts: []time.Duration{0}, value: 1, took: 10 * time.Second}},
		{"a fast first leaves the others unasked", []script{answers(249 * ms), answers(0), answers(0)},
			run{starts: []time.Duration{0}, value: 1, took: 249 * ms}},
		{"a slow first is overtaken", []script{hangs, answers(10 * ms)},
			run{starts: []time.Duration{0, stagger}, cancelled: []int{0}, value: 2, took: 260 * ms}},
		{"a slow first still wins where it answers first", []script{answers(300 * ms), answers(100 * ms)},
			run{starts: []time.Duration{0, stagger}, cancelled: []int{1}, value: 1, took: 300 * ms}},
		{"all are started, one stagger apart", []script{hangs, hangs, hangs, answers(ms)},
			run{starts: []time.Duration{0, stagger, 2 * stagger, 3 * stagger}, cancelled: []int{0, 1, 2}, value: 4, took: 751 * ms}},
		{"a failure starts the next at once", []script{fails(10 * ms), answers(10 * ms)},
			run{starts: []time.Duration{0, 10 * ms}, value: 2, took: 20 * ms}},
		{"failures without delay", []script{fails(0), fails(0), answers(0)},
			run{starts: []time.Duration{0, 0, 0}, value: 3}},
		{"the stagger counts from the last start", []script{fails(200 * ms), hangs, answers(0)},
			run{starts: []time.Duration{0, 200 * ms, 450 * ms}, cancelled: []int{1}, value: 3, took: 450 * ms}},
		{"an earlier one's failure starts the next too", []script{fails(300 * ms), hangs, answers(0)},
			run{starts: []time.Duration{0, stagger, 300 * ms}, cancelled: []int{1}, value: 3, took: 300 * ms}},
		{"the last failure waits for those under way", []script{answers(time.Second), fails(0)},
			run{starts: []time.Duration{0, stagger}, value: 1, took: time.Second}},
		{"late successes are discarded", []script{hangs, late(time.Minute), late(2 * time.Second), answers(0)},
			run{starts: []time.Duration{0, stagger, 2 * stagger, 3 * stagger}, cancelled: []int{0}, discarded: []int{2, 3}, value: 4, took: 750 * ms}},
		{"late failures are not", []script{hangs, {after: time.Minute, err: errRefused, stubborn: true}, answers(0)},
			run{starts: []time.Duration{0, stagger, 2 * stagger}, cancelled: []int{0}, value: 3, took: 500 * ms}},
		{"the first one's late success is waited for and discarded", []script{late(time.Second), answers(0)},
			run{starts: []time.Duration{0, stagger}, discarded: []int{1}, value: 2, took: time.Second}},
		{"the first one's late failure is waited for", []script{{after: time.Second, err: errRefused, stubborn: true}, answers(0)},
			run{starts: []time.Duration{0, stagger}, value: 2, took: time.Second}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				got := play(t, t.Context(), tt.scripts...)
				if fmt.Sprint(got) != fmt.Sprint(tt.want) {
					t.Errorf("got  %+v\nwant %+v", got, tt.want)
				}
			})
		})
	}
}

// The errors come in the order of the attempts, not of the failures.
func TestFirstAllFail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		first, second, third := errors.New("first"), errors.New("second"), errors.New("third")
		got := play(t, t.Context(),
			script{after: 900 * time.Millisecond, err: first},
			script{after: 100 * time.Millisecond, err: second},
			script{after: 100 * time.Millisecond, err: third})
		if want := errors.Join(first, second, third).Error(); got.err == nil || got.err.Error() != want {
			t.Errorf("error = %v, want %q", got.err, want)
		}
		for _, err := range []error{first, second, third} {
			if !errors.Is(got.err, err) {
				t.Errorf("%v is not among %v", err, got.err)
			}
		}
		if got.value != 0 || got.took != 900*time.Millisecond || len(got.discarded) != 0 {
			t.Errorf("got %+v; want no value after 900ms, and nothing discarded", got)
		}
	})
}

func TestFirstContextEnds(t *testing.T) {
	t.Parallel()
	cause := errors.New("the daemon stops")
	hangs := script{after: time.Minute}

	t.Run("under way", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(300*time.Millisecond, func() { cancel(cause) })
			got := play(t, ctx, script{err: errRefused}, hangs, script{after: time.Minute, stubborn: true}, hangs)
			if got.err != cause { // alone, not joined with what failed before
				t.Errorf("error = %v, want the cause alone", got.err)
			}
			want := run{starts: []time.Duration{0, 0, stagger}, cancelled: []int{1}, discarded: []int{3}, err: cause, took: 300 * time.Millisecond}
			if fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
		})
	})
	t.Run("before", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(cause)
			got := play(t, ctx, hangs, hangs)
			if got.err != cause || got.value != 0 || got.took != 0 {
				t.Errorf("got %+v, want the cause at once", got)
			}
		})
	})
	t.Run("deadline", func(t *testing.T) {
		t.Parallel()
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			got := play(t, ctx, hangs, hangs)
			if got.err != context.DeadlineExceeded || got.took != time.Second {
				t.Errorf("got %+v, want %v after 1s", got, context.DeadlineExceeded)
			}
		})
	})
}

// Without discard a late success is dropped.
func TestFirstNilDiscard(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		late := make(chan struct{})
		value, err := race.First(t.Context(), 2, stagger, stagger, func(_ context.Context, i int) (string, error) {
			if i == 0 {
				defer close(late)
				time.Sleep(time.Second)
				return "late", nil
			}
			return "first", nil
		}, nil)
		if value != "first" || err != nil {
			t.Errorf("First = %q, %v", value, err)
		}
		<-late
		synctest.Wait()
	})
}

// Attempt 0 may have had its time before.
func TestFirstLead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		value, err := race.First(t.Context(), 2, 0, stagger, func(ctx context.Context, i int) (int, error) {
			if i == 0 {
				<-ctx.Done()
			}
			return i, ctx.Err()
		}, nil)
		if took := time.Since(began); value != 1 || err != nil || took != 0 {
			t.Errorf("First = %d, %v after %v; want 1 at once", value, err, took)
		}
	})
}
