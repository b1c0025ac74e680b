package dane_test

import (
	"errors"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/dane"
)

// If some hosts cannot be known, no verdict that holds loses protection.
func TestIncompleteVerdicts(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		last, next dane.Kind
		incomplete bool
		want       dane.Kind
	}{
		{dane.Full, dane.Partial, true, dane.Full},
		{dane.Full, dane.Partial, false, dane.Partial},
		{dane.Full, dane.Unknown, true, dane.Full},
		{dane.None, dane.Unknown, true, dane.None},
		{dane.None, dane.Partial, true, dane.Partial},
		{dane.Unknown, dane.Partial, true, dane.Partial},
		{dane.Partial, dane.Full, false, dane.Full},
		{dane.Full, dane.None, false, dane.None},
	} {
		clk := clocktest.NewMachine(time.Now, "boot", time.Hour).Clock()
		c := dane.NewCache(clk, 10)
		hop := dane.NextHop{Domain: domain(t, "d.test"), MX: true, Port: 25}
		now := clk.Now()
		c.Put(hop, dane.Verdict{Kind: tc.last, TTL: time.Hour}, now)
		_, filed := c.Put(hop, dane.Verdict{Kind: tc.next, TTL: time.Minute, Incomplete: tc.incomplete}, now.Add(2*time.Hour))
		got, _, ok := c.Last(hop, now.Add(2*time.Hour))
		if !ok || got != tc.want || filed != (tc.want == tc.next) {
			t.Errorf("%v, then %v (incomplete %v): %v, filed %v; want %v", tc.last, tc.next, tc.incomplete, got, filed, tc.want)
		}
	}
}

// A check that fails is not made again for 30 s, doubling to ten minutes; a verdict that
// holds outlives it.
func TestFailedChecks(t *testing.T) {
	t.Parallel()
	clk := clocktest.NewMachine(time.Now, "boot", time.Hour).Clock()
	c := dane.NewCache(clk, 10)
	hop := dane.NextHop{Domain: domain(t, "d.test"), MX: true, Port: 25}
	now := clk.Now()
	fault := errors.New("SERVFAIL")
	for _, pause := range []time.Duration{30 * time.Second, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 10 * time.Minute, 10 * time.Minute} {
		c.Fail(hop, fault, nil, now)
		if err := c.Failure(hop, now.Add(pause-1)); err != fault {
			t.Errorf("after %v: %v", pause-1, err)
		}
		if now = now.Add(pause); c.Failure(hop, now) != nil {
			t.Errorf("not to be checked again after %v", pause)
		}
	}
	lasts := true
	c.Fail(hop, fault, func() bool { return lasts }, now)
	if c.Failure(hop, now) == nil {
		t.Error("an outage that lasts does not count")
	}
	if lasts = false; c.Failure(hop, now) != nil {
		t.Error("an outage that is over counts")
	}
	c.Put(hop, dane.Verdict{Kind: dane.Full, TTL: time.Hour}, now)
	c.Fail(hop, fault, nil, now.Add(2*time.Hour))
	if kind, _, ok := c.Last(hop, now.Add(2*time.Hour)); !ok || kind != dane.Full {
		t.Errorf("the last verdict: %v, %v", kind, ok)
	}
}
