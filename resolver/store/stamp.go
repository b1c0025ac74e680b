package store

import (
	"math"
	"time"

	"mta-sts-daemon/resolver/clock"
)

// stamp relates Moments to the wall times of values: a boot, by the file's own
// number of it, and the wall time at which that boot began, in Unix seconds.
type stamp struct {
	boot   uint64
	origin int64
}

func newStamp(boot uint64, o clock.Origin) stamp { return stamp{boot, o.Boot().Unix()} }

// maxWall bounds wall times, in seconds before and after 1970, so that sums of two
// do not overflow.
const maxWall = 1 << 40

// moment returns the Moment of a wall time in Unix seconds. It is never 0, which
// means "not set", and never clock.Never.
func (s stamp) moment(wall int64) clock.Moment {
	const second, most = int64(time.Second), math.MaxInt64/int64(time.Second) - 1
	since := clamp(wall, maxWall) - clamp(s.origin, maxWall)
	if since == 0 {
		return 1
	}
	return clock.Moment(clamp(since, most) * second)
}

// wall returns the wall time of m in Unix seconds, rounded up or down.
func (s stamp) wall(m clock.Moment, up bool) int64 {
	seconds, rest := m/clock.Moment(time.Second), m%clock.Moment(time.Second)
	switch {
	case up && rest > 0:
		seconds++
	case !up && rest < 0:
		seconds--
	}
	return clamp(s.origin, maxWall) + int64(seconds)
}

// fetched returns f with its Wall as the present wall clock has it.
func (s stamp) fetched(f Fetched) Fetched {
	if !f.ThisBoot {
		return f
	}
	before := f.Wall
	f.Wall = unix(s.wall(f.At, false))
	if f.Original.IsZero() && !before.Equal(f.Wall) {
		f.Original = before
	}
	return f
}

func clamp(n, limit int64) int64 { return max(min(n, limit), -limit) }

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }

// later reports whether f was after g, in whole seconds unless both are of this
// boot.
func (s stamp) later(f, g Fetched) bool {
	if f.ThisBoot && g.ThisBoot {
		return f.At > g.At
	}
	return s.fetched(f).Wall.After(s.fetched(g).Wall)
}
