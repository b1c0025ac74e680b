// Package clock is the time by which policies age.
//
// A wall clock may be wrong when a machine boots and may be set at any time. The
// time since boot cannot be set, and goes on while the machine is suspended. So
// within one boot every life is measured by it: a Moment. Only times
// saved in an earlier boot have to be judged by the wall clock, and are judged
// again when that clock steps.
//
// Reading the time since boot is slow (some 500 ns on Linux, against 50 ns of
// time.Now), so a Clock counts on with Go's monotonic clock, which stops during a
// suspend, and adds what Observe found to be missing.
package clock

import (
	"math"
	"sync"
	"sync/atomic"
	"time"
)

// Moment is a point in time in nanoseconds since this machine booted. Negative
// Moments lie before that.
type Moment int64

// Never is later than every Moment that comes. In a file it stands for "not set".
const Never = Moment(math.MaxInt64)

// Add returns m + d. Never stays Never.
func (m Moment) Add(d time.Duration) Moment {
	if m == Never {
		return Never
	}
	return m + Moment(d)
}

// Sub returns m - other.
func (m Moment) Sub(other Moment) time.Duration { return time.Duration(m - other) }

// Instant is a Moment that several goroutines read and write. Its zero value is
// the Moment 0.
type Instant struct{ v atomic.Int64 }

// Get returns the Moment.
func (i *Instant) Get() Moment { return Moment(i.v.Load()) }

// Set stores m.
func (i *Instant) Set(m Moment) { i.v.Store(int64(m)) }

// Claim moves an Instant that has come to next. Of several callers at the same
// time one succeeds.
func (i *Instant) Claim(now, next Moment) bool {
	due := i.Get()
	return due <= now && i.v.CompareAndSwap(int64(due), int64(next))
}

// StepLimit is how far the wall clock may move from its last observation before that
// counts as a step.
const StepLimit = 5 * time.Minute

// Source has the clocks that a Clock reads. All fields are required.
type Source struct {
	// Now reads the monotonic clock (time.Now). Its readings are comparable with
	// those that Clock.At is given.
	Now func() time.Time
	// Wall reads the wall clock.
	Wall func() time.Time
	// SinceBoot returns the time since boot, suspend included.
	SinceBoot func() time.Duration
	// Boot identifies this boot. It differs from boot to boot and from machine to
	// machine.
	Boot string
}

// Clock reads Moments and converts them to wall time and back. It is safe for
// concurrent use.
type Clock struct {
	source Source
	start  time.Time    // a reading of source.Now
	offset atomic.Int64 // Moment of start; grows by each suspend

	mu     sync.Mutex // guards what follows
	origin time.Time  // wall time of the boot, by the wall clock as it was last observed
	judged time.Time  // origin at the last step, or when the Clock began
	steps  int        // of the wall clock that Observe found
	last   Moment     // of the last step; the Clock's beginning without one
}

// New returns a Clock.
func New(s Source) *Clock {
	c := &Clock{source: s, start: s.Now()}
	c.offset.Store(int64(s.SinceBoot()))
	c.origin = c.wallOfBoot()
	c.judged = c.origin
	c.last = c.Now()
	return c
}

// Boot returns what identifies this boot.
func (c *Clock) Boot() string { return c.source.Boot }

// Now returns the present Moment.
func (c *Clock) Now() Moment { return c.At(c.source.Now()) }

// At returns the Moment of a reading of the monotonic clock in this process.
func (c *Clock) At(t time.Time) Moment {
	return Moment(c.offset.Load()) + Moment(t.Sub(c.start))
}

// wallOfBoot returns the wall time of the boot, by the wall clock as it is set now.
func (c *Clock) wallOfBoot() time.Time {
	return c.source.Wall().Round(0).Add(-time.Duration(c.Now()))
}

// Origin is the wall time of the boot, by the wall clock as it was last observed.
// Times converted with one Origin fit together even if the clock is set
// meanwhile.
type Origin struct{ boot time.Time }

// OriginAt returns the Origin of a boot at that wall time.
func OriginAt(boot time.Time) Origin { return Origin{boot} }

// Boot returns the wall time of the boot.
func (o Origin) Boot() time.Time { return o.boot }

// Wall returns the wall time of m, the zero Time for Never.
func (o Origin) Wall(m Moment) time.Time {
	if m == Never {
		return time.Time{}
	}
	return o.boot.Add(time.Duration(m))
}

// Moment returns the Moment of a wall time, Never for the zero Time. Wall times
// too far from the boot for a Moment become the first or the last Moment before
// Never.
func (o Origin) Moment(t time.Time) Moment {
	if t.IsZero() {
		return Never
	}
	return min(Moment(t.Round(0).Sub(o.boot)), Never-1)
}

// Origin returns the present Origin. It differs from one call to the next only by
// steps of the wall clock and by its slow adjustment, which Observe takes over.
func (c *Clock) Origin() Origin {
	c.mu.Lock()
	defer c.mu.Unlock()
	return Origin{c.origin}
}

// Observe looks whether the machine was suspended or the wall clock was set since
// the last call, and reports whether the wall clock has moved by more than StepLimit
// since the last step. Smaller changes of the wall clock are taken over as well.
func (c *Clock) Observe() (stepped bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	// Never backwards: reading two clocks one after the other makes small errors.
	if ahead := Moment(c.source.SinceBoot()) - c.Now(); ahead > Moment(suspendSlack) {
		c.offset.Add(int64(ahead))
	}
	origin := c.wallOfBoot()
	if origin.Sub(c.origin).Abs() <= wallSlack {
		return false
	}
	c.origin = origin
	if origin.Sub(c.judged).Abs() <= StepLimit {
		return false
	}
	c.judged = origin
	c.last = c.Now()
	c.steps++
	return true
}

const (
	// suspendSlack is by how much the monotonic clock may be behind the time since
	// boot without a suspend.
	suspendSlack = 10 * time.Millisecond
	// wallSlack is how much two readings of an undisturbed wall clock differ.
	wallSlack = 100 * time.Millisecond
)

// Steps returns how many steps of the wall clock Observe has found. Whoever judges
// by the wall clock has to judge again once the number has changed.
func (c *Clock) Steps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.steps
}

// LastStep returns when the wall clock made its last step; if Observe has found
// none, when this Clock began.
func (c *Clock) LastStep() Moment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last
}
