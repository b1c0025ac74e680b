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

const (
	// minCensus is for how long a Census counts at least, censusShare how many times as
	// long as it took to make: counting reads every policy. That takes a quarter of one
	// processor, and so 1 % of it in the long run.
	minCensus   = time.Minute
	censusShare = 25
)

// census is the last Census.
type census struct {
	wanted chan struct{} // has an element if the last one is old and somebody has asked

	mu   sync.Mutex
	last *Census // nil before the first one
	due  clock.Moment
}

// Census returns how many domains were in a state a few minutes ago; nil if that is not
// known yet. If the numbers are old, it has TakeCensus count again.
func (t *Table) Census() *Census {
	t.census.mu.Lock()
	defer t.census.mu.Unlock()
	if t.clock.Now() >= t.census.due {
		select {
		case t.census.wanted <- struct{}{}:
		default:
		}
	}
	return t.census.last
}

// TakeCensus counts whenever Census wants it, until stop is closed.
func (t *Table) TakeCensus(stop <-chan struct{}) {
	for {
		select {
		case <-t.census.wanted:
			t.scan(stop, func(store.Entry) {})
		case <-stop:
			return
		}
	}
}

// scan yields every stored policy, and makes a Census of them unless stop is closed before
// the end.
func (t *Table) scan(stop <-chan struct{}, yield func(store.Entry)) {
	began := t.clock.Now()
	c := &Census{States: map[State]int{}}
	complete := t.store.Survey(stop, func(s store.Entry) {
		t.count(c, s, began)
		yield(s)
	})
	if !complete {
		return
	}
	for range t.Broken {
		c.States[StateBroken]++
	}
	t.census.mu.Lock()
	defer t.census.mu.Unlock()
	now := t.clock.Now()
	t.census.last, t.census.due = c, now.Add(max(minCensus, censusShare*now.Sub(began)))
}

func (t *Table) count(c *Census, s store.Entry, now clock.Moment) {
	if now >= began(s.Fetched, t.clock.Origin(), now, t.clock.LastStep()).Add(s.Policy.MaxAge) {
		c.States[StateExpired]++
		return
	}
	c.States[State(s.Policy.Mode.String())]++
	if s.RecordGone != 0 {
		c.RecordGone++
	}
}
