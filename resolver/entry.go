package resolver

import (
	"sync/atomic"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/refresh"
	"mta-sts-daemon/resolver/store"
)

// entry is a policy in memory. What is not atomic never changes: a policy
// fetched anew is a new entry.
type entry struct {
	// What a lookup reads comes first, close together.
	expires moment
	recheck instant // when the record is to be asked for again
	used    instant // when it was last looked up, give or take usedStep
	policy  mtasts.Policy

	id      string
	fetched time.Time // as it was written down
	refresh instant   // when the policy is to be fetched again
	// followUps are the fetches still to come because the id changed and the
	// policy did not.
	followUps int
	// trouble is why the policy cannot be renewed; nil while it can.
	trouble atomic.Pointer[trouble]
	// leaseLimit is from when on it is renewed without the fleet's lease; 0
	// where none was refused.
	leaseLimit instant
	// toldExpired is set once the log has that it ended without a successor.
	toldExpired atomic.Bool

	// What the store knows of these, to write only news.
	storedRecheck, storedUsed, storedNext instant
}

// instant is a moment that several goroutines see.
type instant struct{ v atomic.Int64 }

func (i *instant) get() moment  { return moment(i.v.Load()) }
func (i *instant) set(m moment) { i.v.Store(int64(m)) }

// claim moves an instant that has come to the next. Of those who try at once one
// succeeds.
func (i *instant) claim(now, next moment) bool {
	due := i.get()
	return due <= now && i.v.CompareAndSwap(int64(due), int64(next))
}

// trouble is a failure that lasts.
type trouble struct {
	id       string // whose fetch failed; empty where the record is the trouble
	failures int    // of that fetch, in a row
	retry    moment // no fetch for that id before this, while there is a policy
}

// due is from when on the id may be fetched for again; live is the domain's live
// policy. Without one, mail goes out unprotected meanwhile, so that no failure
// puts it off further than the first.
func (t *trouble) due(live *entry) moment {
	if live == nil {
		return t.retry.add(refresh.FirstRetry - refresh.Backoff(t.failures))
	}
	return t.retry
}

// failedAgain returns the trouble after one more failure to fetch for id.
func (t *trouble) failedAgain(id string, now moment) *trouble {
	failures := 1
	if t != nil && t.id == id {
		failures = t.failures + 1
	}
	return &trouble{id: id, failures: failures, retry: now.add(refresh.Backoff(failures))}
}

// answer is e's answer, before DANE has had its say; of nil that of a domain
// without a policy.
func (e *entry) answer() Answer {
	if e == nil {
		return Answer{}
	}
	return Answer{Policy: &e.policy}
}

// settled reports whether e, which may be nil, is live and nothing is due.
func (e *entry) settled(now moment) bool {
	return e.liveAt(now) != nil && now < e.recheck.get() && now < e.refresh.get()
}

// liveAt returns e, unless it is nil or has expired: then nil.
func (e *entry) liveAt(now moment) *entry {
	if e == nil || now >= e.expires {
		return nil
	}
	return e
}

// claimRecheck reports whether the caller is the one lookup that waits for the
// record to be asked for again; the others go on with what is known. The claim
// lapses after dnsRetry unless the outcome sets another time before.
func (e *entry) claimRecheck(now moment) bool {
	return e.recheck.claim(now, now.add(dnsRetry))
}

// next is when the entry needs attention although nobody looks it up: its
// refresh while it is in use, then its removal.
func (e *entry) next(now moment, idle time.Duration) moment {
	refresh := e.refresh.get()
	if now < e.expires && refresh < e.expires && now-e.used.get() <= moment(idle) {
		return refresh
	}
	return e.expires.add(keepExpired)
}

// toStore returns what is written down of the entry.
func (c *cache) toStore(d mtasts.Domain, e *entry, now moment) store.Entry {
	s := store.Entry{
		Domain:  d,
		ID:      e.id,
		Policy:  e.policy,
		Fetched: e.fetched,
		Recheck: c.clock.time(e.recheck.get()),
		Used:    c.clock.time(e.used.get()),
		Next:    c.clock.time(e.next(now, c.idle())),

		Verdicts: c.verdictsToStore(d),
	}
	if t := e.trouble.Load(); t != nil && t.id != "" {
		s.FailedID, s.Failures, s.RetryAt = t.id, t.failures, c.clock.time(t.retry)
	}
	return s
}

// fromStore returns the entry that was written down, perhaps by another process
// whose wall clock was wrong.
func (c *cache) fromStore(s store.Entry, now moment) *entry {
	e := &entry{policy: s.Policy, id: s.ID, fetched: s.Fetched}
	next := c.clock.moment(s.Next)
	began := c.clock.moment(s.Fetched)
	if began > now.add(maxAhead) {
		began = now
	}
	e.expires = began.add(s.Policy.MaxAge)
	e.recheck.set(min(c.clock.moment(s.Recheck), now.add(maxRecordLife)))
	e.used.set(min(c.clock.moment(s.Used), now))
	e.refresh.set(never)
	if s.Policy.Mode != mtasts.ModeNone {
		// Where Next is the removal, the policy was left alone; it is due no
		// later than chance would have had it.
		after := refresh.After(c.settings.Load().RefreshInterval, s.Policy.MaxAge, 1)
		e.refresh.set(min(next, began.add(after)))
	}
	if s.FailedID != "" {
		e.trouble.Store(&trouble{id: s.FailedID, failures: s.Failures, retry: min(c.clock.moment(s.RetryAt), now.add(time.Hour))})
	}
	e.stored(next)
	return e
}

// stored notes that the store knows all of the entry.
func (e *entry) stored(next moment) {
	e.storedRecheck.set(e.recheck.get())
	e.storedUsed.set(e.used.get())
	e.storedNext.set(next)
}

// news reports whether the store lacks something worth a write.
func (e *entry) news(next moment) bool {
	return e.recheck.get() != e.storedRecheck.get() ||
		e.used.get()-e.storedUsed.get() > moment(usedWorth) ||
		next != e.storedNext.get()
}
