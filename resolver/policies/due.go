package policies

import (
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// Due yields the domains that need attention now, the longest due first; those
// whose last refresh failed are a queue of their own.
func (t *Table) Due(failing bool, yield func(mtasts.Domain) bool) {
	t.store.Due(t.clock.Now(), failing, func(e store.Entry) bool { return yield(e.Domain) })
}

// Attend does the work that is due for a domain, except for a refresh. It reports
// whether a refresh is due.
func (t *Table) Attend(d mtasts.Domain) (refresh bool) {
	t.Observe()
	defer t.unlock(t.lock(d))
	e, now, limits := t.current(d), t.clock.Now(), t.limits.Load()
	switch {
	case e == nil: // forgotten meanwhile
		return false
	case e.LiveAt(now) != nil:
		if e.next(now, limits) <= now {
			return true
		}
	case now >= e.expires.Get().Add(keepExpired):
		if t.steady(now) {
			t.dropPolicy(d) // a failure since its end stays
			return false
		}
		s := t.toStore(d, e, now, nil)
		s.Next = now.Add(steadyTime)
		t.store.Put(s)
		return false
	case !e.ended && e.missesRefresh() && e.inUse(e.expires.Get(), limits):
		t.reportEnd(d, e, now, nil)
		return false
	}
	t.save(d, e, now)
	return false
}

// steady reports whether the wall clock can be believed so far that policies may be
// removed by it.
func (t *Table) steady(now clock.Moment) bool {
	return now.Sub(t.store.SteadySince()) >= steadyTime
}
