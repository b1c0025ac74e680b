package policies

import (
	"math/rand/v2"
	"slices"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// Fetch is a policy that was just fetched.
type Fetch struct {
	Policy mtasts.Policy
	// ID is the id of the record seen before the fetch.
	ID string
	// Recheck is when the record is due to be asked for again.
	Recheck clock.Moment
	// RecordLost: the domain had no record, and the fetch followed an older one
	// (RFC 8461 section 10.2).
	RecordLost bool
	// Asked is when the fetch began, Known the live policy then, nil without one.
	Asked
	Known *Entry
	// ToMX: a lookup for mail to the domain's MX hosts waits for it.
	ToMX bool
}

// Put makes a policy just fetched the domain's, in the place of the one before, of
// whatever mode and max_age, and returns it. One with max_age 0 leaves nothing in
// its place. One whose fetch began before a purge is not kept, nor one whose fetch took so long
// that another node has fetched another policy meanwhile: then Put returns that.
func (t *Table) Put(d mtasts.Domain, f Fetch) *Entry {
	t.Observe()
	defer t.unlock(t.lock(d))
	before, now := t.current(d), t.clock.Now()
	o := t.clock.Origin()
	e := newEntry(f.Policy, f.ID, store.Fetched{Wall: o.Wall(now), Original: o.Wall(f.At), At: now, ThisBoot: true}, f.Purges)
	e.toMX.Store(f.ToMX)
	e.judge(o, now, t.clock.LastStep())
	e.recheck.Set(f.Recheck)
	e.inherit(before, now, f.RecordLost)
	e.plan(before, now, t.limits.Load(), rand.Float64())
	switch {
	case t.Void(d, f.Asked):
		return e // the lookups that wait for it get it
	case before.LiveAt(now) != nil && before.at == clock.Never && !before.Same(f.Known) && before.wall > e.first && before.policy.Text != e.policy.Text:
		return before
	case e.policy.MaxAge > 0:
		t.replace(d, e, now)
	default:
		t.drop(d)
	}
	t.reportFetched(d, before, e, now)
	return e
}

// PutIfNewer makes a policy that another node has fetched the domain's, unless the
// current one knows of a later purge, was fetched later, or is the same one, fetched here at
// about the same time. A policy that is void is refused. It
// returns the current policy, which may have expired.
func (t *Table) PutIfNewer(d mtasts.Domain, f Fetch, fetched time.Time) *Entry {
	t.Observe() // after a suspend the fetch would be in the future
	defer t.unlock(t.lock(d))
	before, now := t.current(d), t.clock.Now()
	e := newEntry(f.Policy, f.ID, store.Fetched{Wall: fetched}, f.Purges)
	e.toMX.Store(f.ToMX)
	if !e.newer(before) || e.repeats(before, now) || t.Void(d, f.Asked) {
		return before
	}
	o := t.clock.Origin()
	e.judge(o, now, t.clock.LastStep())
	e.recheck.Set(min(f.Recheck, now.Add(MaxRecheck)))
	e.inherit(before, now, before != nil && before.id == e.id) // the other node may have had no record
	e.plan(nil, began(e.fetched(), o, now, t.clock.LastStep()), t.limits.Load(), rand.Float64())
	t.replace(d, e, now)
	t.reportFetched(d, before, e, now)
	return e
}

// inherit takes over the parts that do not change with the policy, and the absence of the
// record if the policy may have been fetched without one.
func (e *Entry) inherit(before *Entry, now clock.Moment, recordLost bool) {
	e.used.Set(now) // a lookup waits for it, unless a policy is live
	if before == nil {
		return
	}
	if before.LiveAt(now) != nil {
		e.used.Set(before.used.Get())
	}
	if before.ToMX() {
		e.toMX.Store(true)
	}
	if recordLost {
		e.change(func(t *trouble) { t.recordGone = before.recordGone })
	}
	if before.policy.Mode == e.policy.Mode {
		e.mismatch.Set(before.mismatch.Get()) // until the MX hosts are judged again
		e.unjudged.Store(before.unjudged.Load() || !slices.Equal(before.policy.MX, e.policy.MX))
	}
}

// replace makes e the domain's policy, unless a purge voids it. The domain's lock is held.
func (t *Table) replace(d mtasts.Domain, e *Entry, now clock.Moment) {
	t.added.Add(1)
	kept := t.keep(d, e)
	t.negatives.Remove(d)
	if kept {
		t.save(d, e, now)
	}
}

// drop leaves nothing of the domain. The domain's lock is held.
func (t *Table) drop(d mtasts.Domain) {
	t.dropPolicy(d)
	t.negatives.Remove(d)
}

// dropPolicy leaves no policy of the domain. The domain's lock is held.
func (t *Table) dropPolicy(d mtasts.Domain) {
	t.policies.remove(d)
	t.store.Delete(d)
	t.unwatch(d)
}
