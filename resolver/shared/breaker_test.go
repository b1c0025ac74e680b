package shared

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

var errDown = errors.New("down")

// try asks once, with the outcome err, and reports whether it might.
func (b *breaker) try(err error) bool {
	t, ok := b.begin()
	if ok {
		b.end(t, err)
	}
	return ok
}

// toldBreaker returns a breaker and what it tells.
func toldBreaker() (*breaker, *[]error) {
	var told []error
	return &breaker{report: func(err error) { told = append(told, err) }, pace: usualPace()}, &told
}

func TestBreakerOutage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, told := toldBreaker()
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
			t.Errorf("a store that was away for %v was asked %d times, want about %d", outage, asked, want)
		}
		if len(*told) != 1 || (*told)[0] != errDown {
			t.Errorf("told %v, want once that it is down", *told)
		}
		time.Sleep(b.wait())
		for range 2 {
			if !b.try(nil) {
				t.Error("a store that works again is not asked")
			}
		}
		if len(*told) != 2 || (*told)[1] != nil {
			t.Errorf("told %v, want once that it is down and once that it works", *told)
		}
		b.try(errDown)
		if wait := b.wait(); wait != b.pace.minPause || len(*told) != 2 {
			t.Errorf("after the next hiccup the store is left alone for %v, told %v", wait, *told)
		}
	})
}

// One slow answer is nobody's business.
func TestBreakerHiccup(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, told := toldBreaker()
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
		if len(*told) > 0 {
			t.Errorf("told %v", *told)
		}
	})
}

// A store that fails now and then is left alone for longer and longer, and is
// worth one warning until it is steady.
func TestBreakerFlapping(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, told := toldBreaker()
		for range 6 {
			b.try(errDown)
			time.Sleep(b.wait())
			if b.failures < 5 { // whose pause is longer than steady
				b.try(nil)
			}
		}
		if b.failures != 6 || len(*told) != 1 {
			t.Errorf("%d failures in a row, told %v", b.failures, *told)
		}
	})
}

// After a pause one asks, and the others wait for what becomes of that.
func TestBreakerOneProbe(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, _ := toldBreaker()
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
			t.Fatal("nobody may ask after one gave up")
		}
		b.end(late, errDown)
		b.end(probe, nil)
		if !b.try(nil) || b.failures != 1 {
			t.Errorf("after an answer the store is not asked, or a late failure counted: %d", b.failures)
		}
	})
}

// That a store works again is told although nobody asks any more.
func TestBreakerSettles(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b, told := toldBreaker()
		for range warnAfter {
			b.try(errDown)
			b.settle()
			time.Sleep(b.wait())
		}
		b.try(nil)
		b.settle()
		if len(*told) != 1 {
			t.Fatalf("told %v, want once that it is down", *told)
		}
		time.Sleep(b.pace.steady)
		b.settle()
		b.settle()
		if len(*told) != 2 || (*told)[1] != nil {
			t.Errorf("told %v, want once that it is down and once that it works", *told)
		}
	})
}
