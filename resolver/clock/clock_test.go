package clock_test

import (
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/clock/clocktest"
)

func TestSuspend(t *testing.T) {
	m := clocktest.NewMachine(time.Now, "boot-1", time.Hour)
	c := m.Clock()
	before := c.Now()
	m.Suspend(48 * time.Hour)
	if stepped := c.Observe(); stepped {
		t.Error("a suspend counts as a step, though the wall clock went on")
	}
	if passed := c.Now().Sub(before); passed < 48*time.Hour-time.Second || passed > 49*time.Hour {
		t.Errorf("%v passed, want the suspend's 48 h", passed)
	}
}

func TestSteps(t *testing.T) {
	for _, tc := range []struct {
		step    time.Duration
		stepped bool
	}{
		{0, false},
		{30 * time.Millisecond, false},
		{4 * time.Minute, false},
		{-4 * time.Minute, false},
		{6 * time.Minute, true},
		{-6 * time.Minute, true},
		{60 * 24 * time.Hour, true},
		{-60 * 24 * time.Hour, true},
	} {
		m := clocktest.NewMachine(time.Now, "boot-1", time.Hour)
		c := m.Clock()
		at, wall := c.Now(), c.Origin().Wall(c.Now())
		m.SetWall(tc.step)
		if got := c.Observe(); got != tc.stepped {
			t.Errorf("step of %v: Observe returns %v", tc.step, got)
		}
		if passed := c.Now().Sub(at); passed < 0 || passed > time.Minute {
			t.Errorf("step of %v: %v passed", tc.step, passed)
		}
		moved := c.Origin().Wall(at).Sub(wall)
		if (moved - tc.step).Abs() > time.Second {
			t.Errorf("step of %v: wall times move by %v", tc.step, moved)
		}
		if again := c.Observe(); again {
			t.Errorf("step of %v: observed twice", tc.step)
		}
	}
}

func TestSmallAdjustmentsAddUpToAStep(t *testing.T) {
	m := clocktest.NewMachine(time.Now, "boot-1", time.Hour)
	c := m.Clock()
	start := c.Origin().Boot()
	for range 3 {
		m.SetWall(4 * time.Minute)
		c.Observe()
	}
	if moved := c.Origin().Boot().Sub(start); moved < 11*time.Minute {
		t.Errorf("the origin moved by %v", moved)
	}
	if c.Steps() == 0 {
		t.Error("12 min in three adjustments are no step")
	}
}

func TestConversions(t *testing.T) {
	boot := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	o := clock.OriginAt(boot)
	for _, m := range []clock.Moment{0, 1, clock.Moment(time.Hour), -clock.Moment(365 * 24 * time.Hour), clock.Never} {
		if got := o.Moment(o.Wall(m)); got != m {
			t.Errorf("%v becomes %v", m, got)
		}
	}
	if got := o.Moment(time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)); got >= clock.Never || got < clock.Moment(200*365*24*time.Hour) {
		t.Errorf("the year 9999 is %v", got)
	}
	if clock.Never.Add(-time.Hour) != clock.Never {
		t.Error("an hour before Never is not Never")
	}
}

func TestClaim(t *testing.T) {
	var i clock.Instant
	i.Set(10)
	if i.Claim(9, 20) {
		t.Error("claimed before it was due")
	}
	if !i.Claim(10, 20) || i.Claim(10, 20) {
		t.Error("want exactly one claim")
	}
}

func TestSystem(t *testing.T) {
	a, b := clock.System(), clock.System()
	if a.Boot() == "" {
		t.Error("the boot has no name")
	}
	if a.Boot() == b.Boot() {
		if d := b.Now().Sub(a.Now()).Abs(); d > time.Second {
			t.Errorf("two clocks of one boot differ by %v", d)
		}
	}
}
