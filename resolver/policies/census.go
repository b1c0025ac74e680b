package policies

import (
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/store"
)

// Census is how many domains are in a state.
type Census struct {
	// States has the domains with a policy, live or expired, and the broken ones.
	States map[State]int
	// RecordGone are the domains with a live policy and no valid record.
	RecordGone int
}

// census is the last Census. Counting reads every policy, 0.3 s of CPU for 100,000, so it is
// made anew only if somebody asks, and takes a hundredth of the time at most.
type census struct {
	mu   sync.Mutex
	last Census
	due  clock.Moment
}

const (
	// minCensus is for how long a Census counts at least, censusShare how many times as
	// long as it took to make.
	minCensus   = time.Minute
	censusShare = 100
)

// Census returns how many domains are in a state, or were a few minutes ago.
func (t *Table) Census() Census {
	t.census.mu.Lock()
	defer t.census.mu.Unlock()
	now := t.clock.Now()
	if t.census.last.States != nil && now < t.census.due {
		return t.census.last
	}
	t.census.last = t.count(now)
	end := t.clock.Now()
	t.census.due = end.Add(max(minCensus, censusShare*end.Sub(now)))
	return t.census.last
}

func (t *Table) count(now clock.Moment) Census {
	c := Census{States: map[State]int{StateEnforce: 0, StateTesting: 0, StateNone: 0, StateExpired: 0, StateBroken: 0}}
	o := t.clock.Origin()
	t.store.All(func(s store.Entry) bool {
		if now >= began(s.Fetched, o, now, t.start).Add(s.Policy.MaxAge) {
			c.States[StateExpired]++
			return true
		}
		c.States[State(s.Policy.Mode.String())]++
		if s.RecordGone != 0 {
			c.RecordGone++
		}
		return true
	})
	for range t.Broken {
		c.States[StateBroken]++
	}
	return c
}
