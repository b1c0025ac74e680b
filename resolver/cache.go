package resolver

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// cache is what is known. The store has every policy and is the authority; the
// LRU of policies is a window on it, so that eviction frees memory and forgets
// nothing. Domains without a policy have an LRU of their own, so that a flood
// of them cannot push a policy out, and are not stored.
type cache struct {
	clock    *clock
	policies *lru.Cache[mtasts.Domain, *entry]
	octets   atomic.Int64 // that those take, as far as strangers say how many
	absences *lru.Cache[mtasts.Domain, absence]
	verdicts *lru.Cache[NextHop, *verdict]
	store    *store.Store
	settings *atomic.Pointer[Settings]

	failing    *watchlist // live policies whose refresh fails
	mismatched *watchlist // those that match no MX host

	mu        sync.Mutex
	evictions []eviction // that the store has not heard of

	// stripes keep a domain's entry in the LRU and the one in the store in
	// step: each is changed under the lock of the domain's stripe.
	stripes [64]sync.Mutex
	seed    maphash.Seed
}

// absence is the knowledge that a domain has no policy to apply.
type absence struct {
	until moment
	*trouble
}

// eviction is a policy that memory has let go.
type eviction struct {
	domain mtasts.Domain
	entry  *entry
}

// newCache panics where a size is not positive; the configuration refuses that.
func newCache(settings *atomic.Pointer[Settings], st *store.Store, clock *clock) *cache {
	c := &cache{clock: clock, store: st, settings: settings, seed: maphash.MakeSeed(),
		failing: newWatchlist(), mismatched: newWatchlist()}
	s := settings.Load()
	var err error
	if c.policies, err = lru.NewWithEvict(s.Entries, c.noteEviction); err != nil {
		panic(err)
	}
	if c.absences, err = lru.New[mtasts.Domain, absence](s.NegativeEntries); err != nil {
		panic(err)
	}
	if c.verdicts, err = lru.New[NextHop, *verdict](s.Entries + s.NegativeEntries); err != nil {
		panic(err)
	}
	return c
}

// resize makes room for what the settings say, or less.
func (c *cache) resize() {
	s := c.settings.Load()
	c.policies.Resize(s.Entries)
	c.absences.Resize(s.NegativeEntries)
	c.verdicts.Resize(s.Entries + s.NegativeEntries)
	c.saveEvicted()
}

func (c *cache) idle() time.Duration { return c.settings.Load().Idle }

func (c *cache) stripe(d mtasts.Domain) *sync.Mutex {
	return &c.stripes[maphash.String(c.seed, d.String())%uint64(len(c.stripes))]
}

// inMemory returns the domain's live policy if memory has it.
func (c *cache) inMemory(d mtasts.Domain, now moment) *entry {
	if e, ok := c.policies.Peek(d); ok && now < e.expires {
		return e
	}
	return nil
}

// use notes a lookup answered by e. Memory lets go first what has been out of
// use longest, but need not know that better than to usedStep: so most lookups
// write nothing and do not fight for the LRU's lock.
func (c *cache) use(d mtasts.Domain, e *entry, now moment) {
	if now-e.used.get() > moment(usedStep) {
		e.used.set(now)
		c.policies.Get(d)
	}
}

// remembered returns the domain's policy, live or expired, if memory has it; for
// those who know that known was called a moment ago.
func (c *cache) remembered(d mtasts.Domain) *entry {
	e, _ := c.policies.Get(d)
	return e
}

// known returns the domain's policy, live or expired, from the store where
// memory does not have it; nil if there is none. With it comes what was stored of
// DANE.
func (c *cache) known(d mtasts.Domain, now moment) *entry {
	if e := c.remembered(d); e != nil {
		return e
	}
	defer c.saveEvicted()
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	if e, ok := c.policies.Get(d); ok {
		return e
	}
	s, ok := c.store.Get(d)
	if !ok {
		return nil
	}
	e := c.fromStore(s, now)
	c.remember(d, e)
	c.watchRefresh(d, e, now)
	c.restoreVerdicts(d, s.Verdicts)
	return e
}

// absent reports whether the domain is known to have no policy.
func (c *cache) absent(d mtasts.Domain, now moment) bool {
	a, ok := c.absences.Get(d)
	return ok && now < a.until
}

// trouble returns the last failure that memory knows of the domain, nil if none.
func (c *cache) trouble(d mtasts.Domain) *trouble {
	if a, ok := c.absences.Peek(d); ok && a.trouble != nil {
		return a.trouble // since the policy expired, if there was one
	}
	if e, ok := c.policies.Peek(d); ok {
		return e.trouble.Load()
	}
	return nil
}

// keep makes e the domain's policy, in the place of the one before.
func (c *cache) keep(d mtasts.Domain, e *entry) {
	defer c.saveEvicted()
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	c.replace(d, e)
}

// keepNewest does so unless the one before was fetched no earlier. It returns
// the one that is the domain's now.
func (c *cache) keepNewest(d mtasts.Domain, e *entry) *entry {
	defer c.saveEvicted()
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	if current, ok := c.policies.Peek(d); ok && !e.fetched.After(current.fetched) {
		return current
	}
	c.replace(d, e)
	return e
}

// replace makes e the domain's policy. The lock of the domain's stripe is held.
func (c *cache) replace(d mtasts.Domain, e *entry) {
	c.write(d, e)
	c.remember(d, e)
	c.absences.Remove(d)
}

// update writes down what has changed of the domain's policy.
func (c *cache) update(d mtasts.Domain, e *entry) {
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	if c.isCurrent(d, e) {
		c.write(d, e)
	}
}

// isCurrent reports whether e is the domain's policy still. It may have been
// replaced or forgotten since, or be in the store alone. The lock of the domain's
// stripe is held.
func (c *cache) isCurrent(d mtasts.Domain, e *entry) bool {
	if current, ok := c.policies.Peek(d); ok {
		return current == e
	}
	s, ok := c.store.Get(d)
	return ok && s.ID == e.id && s.Fetched.Equal(e.fetched)
}

func (c *cache) write(d mtasts.Domain, e *entry) {
	now := c.clock.now()
	e.stored(e.next(now, c.idle()))
	c.store.Put(c.toStore(d, e, now))
	c.watchRefresh(d, e, now)
}

// forget leaves nothing of the domain behind, unless it has a policy by now that
// was fetched at a time that is not voided.
func (c *cache) forget(d mtasts.Domain, voided func(fetched time.Time) bool) {
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	if fetched, ok := c.fetched(d); ok && !voided(fetched) {
		return
	}
	c.policies.Remove(d)
	c.absences.Remove(d)
	c.store.Delete(d)
	c.failing.remove(d)
	c.mismatched.remove(d)
}

// whenever voids everything.
func whenever(time.Time) bool { return true }

// fetched returns when the domain's policy was fetched, if it has one.
func (c *cache) fetched(d mtasts.Domain) (at time.Time, ok bool) {
	if e, ok := c.policies.Peek(d); ok {
		return e.fetched, true
	}
	s, ok := c.store.Get(d)
	return s.Fetched, ok
}

// keepAbsence keeps an expired policy in the store, for its time, but not in
// memory. Where another node of the fleet has brought a live one meanwhile, there
// is no absence.
func (c *cache) keepAbsence(d mtasts.Domain, a absence) {
	lock := c.stripe(d)
	lock.Lock()
	defer lock.Unlock()
	if e, ok := c.policies.Peek(d); ok && c.clock.now() < e.expires {
		return
	}
	c.absences.Add(d, a)
}

// flush writes down what only memory knows.
func (c *cache) flush() { c.writeAll(c.hasNews) }

// rewrite writes down everything that memory knows, for a store that lost it.
func (c *cache) rewrite() { c.writeAll(func(*entry) bool { return true }) }

// flushStep is how many entries are written before the disk is waited for: what
// waits is in memory twice.
const flushStep = 1000

func (c *cache) writeAll(wanted func(*entry) bool) {
	written := 0
	for _, d := range c.policies.Keys() {
		e, ok := c.policies.Peek(d)
		if !ok || !wanted(e) {
			continue
		}
		c.update(d, e)
		if written++; written%flushStep == 0 {
			c.store.Flush() // where it fails, the store tells
		}
	}
}

func (c *cache) hasNews(e *entry) bool {
	return e.news(e.next(c.clock.now(), c.idle()))
}

// noteEviction is called where the locks of stripes may be held.
func (c *cache) noteEviction(d mtasts.Domain, e *entry) {
	c.octets.Add(-e.octets())
	if c.hasNews(e) {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.evictions = append(c.evictions, eviction{d, e})
	}
}

// saveEvicted writes down what memory knew of policies that it has let go,
// where no newer policy has taken their place.
func (c *cache) saveEvicted() {
	c.mu.Lock()
	evictions := c.evictions
	c.evictions = nil
	c.mu.Unlock()
	for _, out := range evictions {
		c.saveOne(out)
	}
}

func (c *cache) saveOne(out eviction) {
	lock := c.stripe(out.domain)
	lock.Lock()
	defer lock.Unlock()
	if c.isCurrent(out.domain, out.entry) {
		c.write(out.domain, out.entry)
	}
}

// keepVerdict files what DANE says of a next hop, on disk too where the domain
// has a policy there.
func (c *cache) keepVerdict(hop NextHop, v *verdict) {
	// Or keep could write the policy down before and file it after this.
	lock := c.stripe(hop.Domain)
	lock.Lock()
	defer lock.Unlock()
	c.verdicts.Add(hop, v)
	if e, ok := c.policies.Peek(hop.Domain); ok {
		c.write(hop.Domain, e)
	}
}

// storedHops are the next hops of a domain whose verdicts are stored with its
// policy: those that Postfix has in the usual ways of naming them.
func storedHops(d mtasts.Domain) []NextHop {
	return []NextHop{
		{Domain: d, MX: true, Port: smtpPort},
		{Domain: d, MX: false, Port: smtpPort},
		{Domain: d, MX: false, Port: 587},
	}
}

// verdictsToStore returns what is written down of a domain's verdicts.
func (c *cache) verdictsToStore(d mtasts.Domain) (stored []store.Verdict) {
	for _, hop := range storedHops(d) {
		if v, ok := c.verdicts.Peek(hop); ok {
			stored = append(stored, store.Verdict{MX: hop.MX, Port: hop.Port, Kind: uint8(v.kind), Until: c.clock.time(v.until)})
		}
	}
	return stored
}

// restoreVerdicts takes back what was written down, where nothing newer is
// known.
func (c *cache) restoreVerdicts(d mtasts.Domain, stored []store.Verdict) {
	now := c.clock.now()
	for _, s := range stored {
		c.verdicts.ContainsOrAdd(NextHop{Domain: d, MX: s.MX, Port: s.Port}, c.fromStored(s, now))
	}
}

// fromStored returns the verdict that was written down.
func (c *cache) fromStored(s store.Verdict, now moment) *verdict {
	return &verdict{kind: dane.Kind(s.Kind), until: min(c.clock.moment(s.Until), now.add(maxRecordLife))}
}
