package resolver

import (
	"math"
	"time"
)

// moment is a point on the process's monotonic clock, in nanoseconds since its
// clock began. Lives run on it, so that the wall clock may jump.
type moment int64

// never is later than every moment that comes.
const never = moment(math.MaxInt64)

func (m moment) add(d time.Duration) moment { return m + moment(d) }

// clock tells moments, and what wall time they are by the wall clock as it is set
// now. That may be set anew at any time, so what two calls of time or moment return
// need not match.
type clock struct {
	start time.Time
	wall  func() time.Time
}

func newClock() clock { return clock{time.Now(), time.Now} }

func (c clock) now() moment { return moment(time.Since(c.start)) }

// read is for times that this process has read off its clock.
func (c clock) read(t time.Time) moment { return moment(t.Sub(c.start)) }

func (c clock) time(m moment) time.Time { return c.wall().Round(0).Add(time.Duration(m - c.now())) }

// moment is for wall times, which may be far off.
func (c clock) moment(t time.Time) moment { return c.now().add(t.Round(0).Sub(c.wall().Round(0))) }
