package resolver

import (
	"math"
	"sync/atomic"
	"time"
)

// moment is a point on the process's monotonic clock, in nanoseconds since its
// clock began. Lives run on it, so that the wall clock may jump.
type moment int64

// never is later than every moment that comes.
const never = moment(math.MaxInt64)

func (m moment) add(d time.Duration) moment { return m + moment(d) }

// clockSlack is how far the wall clock may be off what is known of it. Two readings
// never match to the nanosecond, and what is read from the store and written again
// is to be what it was.
const clockSlack = time.Second / 10

// clock tells moments, and what wall time they are by the wall clock as it is set
// now. That may be set anew at any time, so what two calls of time or moment return
// need not match.
type clock struct {
	start time.Time
	wall  func() time.Time
	began atomic.Pointer[time.Time] // the wall time of start, as last seen
}

func newClock(wall func() time.Time) *clock { return &clock{start: time.Now(), wall: wall} }

func (c *clock) now() moment { return moment(time.Since(c.start)) }

// read is for times that this process has read off its clock.
func (c *clock) read(t time.Time) moment { return moment(t.Sub(c.start)) }

func (c *clock) time(m moment) time.Time { return c.origin().Add(time.Duration(m)) }

// moment is for wall times, which may be far off.
func (c *clock) moment(t time.Time) moment { return moment(t.Round(0).Sub(c.origin())) }

// origin is the wall time at which moments began.
func (c *clock) origin() time.Time {
	seen := c.wall().Round(0).Add(-time.Duration(c.now()))
	if last := c.began.Load(); last != nil && seen.Sub(*last).Abs() < clockSlack {
		return *last
	}
	c.began.Store(&seen)
	return seen
}
