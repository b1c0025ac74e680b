package resolver

import (
	"sync"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// maxWatched bounds a watchlist, and with it what it costs in memory: some 10
// MB. It only fills where the trouble is this host's own.
const maxWatched = 100_000

// watchlist is the domains whose live policies have a certain fault, for an
// operator to know their number. Eviction from memory leaves them on it.
type watchlist struct {
	mu       sync.Mutex
	policies map[mtasts.Domain]watched
}

type watched struct {
	expires  moment
	enforced bool
}

func newWatchlist() *watchlist { return &watchlist{policies: map[mtasts.Domain]watched{}} }

// add reports whether the domain is new on the list.
func (w *watchlist) add(d mtasts.Domain, e *entry) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, there := w.policies[d]
	if !there && len(w.policies) >= maxWatched {
		return false
	}
	w.policies[d] = watched{e.expires, e.policy.Mode == mtasts.ModeEnforce}
	return !there
}

func (w *watchlist) remove(d mtasts.Domain) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.policies, d)
}

// count returns how many there are, less those whose policy has expired.
func (w *watchlist) count(now moment) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for d, p := range w.policies {
		if p.expires <= now {
			delete(w.policies, d)
		}
	}
	return len(w.policies)
}

// enforcedUntil returns how many of them are of mode enforce and expire within
// that time.
func (w *watchlist) enforcedUntil(now moment, within time.Duration) (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, p := range w.policies {
		if p.enforced && now < p.expires && p.expires <= now.add(within) {
			n++
		}
	}
	return n
}

// watchRefresh puts the domain on the list of those whose refresh fails, or
// takes it off, by what e says. The lock of the domain's stripe is held.
func (c *cache) watchRefresh(d mtasts.Domain, e *entry, now moment) {
	t := e.trouble.Load()
	inUse := now-e.used.get() <= moment(c.idle())
	if t != nil && t.id != "" && inUse && e.policy.Mode != mtasts.ModeNone {
		c.failing.add(d, e)
	} else {
		c.failing.remove(d)
	}
}

// recallFailing lists the domains whose refresh failed before the process began.
func (r *Resolver) recallFailing() {
	for s := range r.cache.store.All {
		if r.ctx.Err() != nil {
			return
		}
		if s.Failures > 0 {
			r.cache.recall(s.Domain)
		}
	}
}

// recall watches a domain that the store may know more of than memory.
func (c *cache) recall(d mtasts.Domain) {
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	if c.policies.Contains(d) {
		return // it is watched since it came to memory
	}
	if s, ok := c.store.Get(d); ok {
		now := c.clock.now()
		c.watchRefresh(d, c.fromStore(s, now), now)
	}
}
