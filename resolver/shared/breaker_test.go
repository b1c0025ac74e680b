package shared

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

// try asks once, with the outcome err, and reports whether the breaker allowed it.
func (b *breaker) try(err error) bool {
	t, ok := b.begin()
	if ok {
		b.end(t, err)
	}
	return ok
}

// reportingBreaker returns a breaker and its reports.
func reportingBreaker() (*breaker, *[]error) {
	var reports []error
	return &breaker{report: func(err error) { reports = append(reports, err) }, pace: usualPace()}, &reports
}

func TestBreakerOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, reports := reportingBreaker()
		for range 3 {
			if !b.try(nil) {
				t.Fatal("a store that works is not asked")
			}
		}
		const outage = 10 * time.Minute
		asked := 0
		for begin := time.Now(); time.Since(begin) < outage; time.Sleep(10 * time.Millisecond) {
			if b.try(errDown) {
				asked++
			}
		}
		// 1, 2, 4, 8, 16 s, and 30 s from then on.
		if want := 5 + 20; asked < want-1 || asked > want+1 {
			t.Errorf("a store that was down for %v was asked %d times, want about %d", outage, asked, want)
		}
		if len(*reports) != 1 || (*reports)[0] != errDown {
			t.Errorf("reports %v, want one failure", *reports)
		}
		time.Sleep(b.wait())
		for range 2 {
			if !b.try(nil) {
				t.Error("a store that works again is not asked")
			}
		}
		if len(*reports) != 2 || (*reports)[1] != nil {
			t.Errorf("reports %v, want one failure and one recovery", *reports)
		}
		b.try(errDown)
		if wait := b.wait(); wait != b.pace.minPause || len(*reports) != 2 {
			t.Errorf("after the next failure the pause is %v, reports %v", wait, *reports)
		}
	})
}

// A single failure is not reported.
func TestBreakerSingleFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, reports := reportingBreaker()
		for range 10 {
			b.try(errDown)
			if b.try(nil) {
				t.Error("the store is asked right after a failure")
			}
			time.Sleep(b.wait())
			b.try(nil)
			time.Sleep(b.pace.steady)
			b.try(nil)
		}
		if len(*reports) > 0 {
			t.Errorf("reports %v", *reports)
		}
	})
}

// The pauses of a store that fails again and again grow, and there is one warning until
// it is steady.
func TestBreakerFlapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, reports := reportingBreaker()
		for range 6 {
			b.try(errDown)
			time.Sleep(b.wait())
			if b.failures < 5 { // whose pause is longer than steady
				b.try(nil)
			}
		}
		if b.failures != 6 || len(*reports) != 1 {
			t.Errorf("%d failures in a row, reports %v", b.failures, *reports)
		}
	})
}

// After a pause one caller asks, and the others wait for its outcome.
func TestBreakerOneProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := reportingBreaker()
		late, _ := b.begin()
		b.try(errDown)
		time.Sleep(b.pace.minPause)
		probe, ok := b.begin()
		if !ok {
			t.Fatal("nobody may ask after the pause")
		}
		if _, ok := b.begin(); ok {
			t.Error("two ask at once")
		}
		b.end(late, nil)
		if _, ok := b.begin(); ok {
			t.Error("an answer from before the failure ends it")
		}
		b.abandon(probe)
		probe, ok = b.begin()
		if !ok {
			t.Fatal("nobody may ask after a probe was abandoned")
		}
		b.end(late, errDown)
		b.end(probe, nil)
		if !b.try(nil) || b.failures != 1 {
			t.Errorf("after an answer the store is not asked, or a late failure counted: %d", b.failures)
		}
	})
}

// The recovery of a store is reported although nobody asks it any more.
func TestBreakerSettles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, reports := reportingBreaker()
		for range warnAfter {
			b.try(errDown)
			b.settle()
			time.Sleep(b.wait())
		}
		b.try(nil)
		b.settle()
		if len(*reports) != 1 {
			t.Fatalf("reports %v, want one failure", *reports)
		}
		time.Sleep(b.pace.steady)
		b.settle()
		b.settle()
		if len(*reports) != 2 || (*reports)[1] != nil {
			t.Errorf("reports %v, want one failure and one recovery", *reports)
		}
	})
}
