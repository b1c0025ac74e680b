package policies

import (
	"hash/maphash"
	"sync"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

func (t *Table) lockOf(d mtasts.Domain) *sync.Mutex {
	return &t.locks[maphash.String(t.seed, d.String())%lockCount]
}

// lock locks the domain and returns its lock, for unlock.
func (t *Table) lock(d mtasts.Domain) *sync.Mutex {
	mu := t.lockOf(d)
	mu.Lock()
	return mu
}

// unlock unlocks a domain, and saves the entries evicted while it was locked.
func (t *Table) unlock(mu *sync.Mutex) {
	mu.Unlock()
	t.saveEvicted()
}

// Live returns the domain's live policy if memory has it.
func (t *Table) Live(d mtasts.Domain, now clock.Moment) *Entry {
	e, _ := t.policies.Peek(d)
	return e.LiveAt(now)
}

// Use notes a lookup answered by e. The LRU learns of it once in usedStep, so most
// lookups write nothing and do not take its lock.
func (t *Table) Use(d mtasts.Domain, e *Entry, now clock.Moment) {
	if e.MatchesNoMX() {
		t.countDeferred(d)
	}
	if now.Sub(e.used.Get()) <= usedStep {
		return
	}
	e.used.Set(now)
	if current, ok := t.policies.Get(d); ok && current == e {
		return
	}
	// e was evicted, and perhaps saved, before the lookup was noted.
	defer t.unlock(t.lock(d))
	if e = t.current(d); e != nil {
		e.used.Set(now)
	}
}

// Negative reports whether memory knows that the domain has no usable policy, and its
// state as the last attempt has shown it: absent, unknown, or broken with f, why the policy
// that it announces is not usable.
func (t *Table) Negative(d mtasts.Domain, now clock.Moment) (s State, f *Failure, ok bool) {
	n, ok := t.negatives.Get(d)
	if !ok || !n.holds(now) {
		return StateUnknown, nil, false
	}
	if n.failure != nil {
		n.failure.lookups.Add(1)
	}
	switch {
	case n.unknown > 0:
		return StateUnknown, nil, true
	case n.failure == nil:
		return StateAbsent, nil, true
	}
	return StateBroken, n.failure, true
}

// Peek returns what Live does and what Negative does, without noting a lookup.
func (t *Table) Peek(d mtasts.Domain, now clock.Moment) (e *Entry, negative bool) {
	if e := t.Live(d, now); e != nil {
		return e, false
	}
	n, ok := t.negatives.Peek(d)
	return nil, ok && n.holds(now)
}

// Get returns the domain's policy, live or expired, from the file if memory lacks
// it; nil without one.
func (t *Table) Get(d mtasts.Domain) *Entry {
	defer t.unlock(t.lock(d))
	return t.current(d)
}

// current is Get for those who hold the domain's lock.
func (t *Table) current(d mtasts.Domain) *Entry {
	if e, ok := t.policies.Get(d); ok {
		return e
	}
	added := t.added.Load() + t.store.Files()
	n, ok := t.negatives.Peek(d)
	if ok && n.vacant == added {
		return nil
	}
	if e := t.load(d); e != nil {
		return e
	}
	if !ok {
		n = &negative{}
		t.negatives.Add(d, n)
	}
	n.vacant = added
	return nil
}

// load returns the domain's policy from the file, or nil, and keeps it in memory.
func (t *Table) load(d mtasts.Domain) *Entry {
	s, ok := t.store.Get(d)
	if !ok {
		return nil
	}
	now := t.clock.Now()
	e := t.takeEvicted(d)
	if e == nil || s.ID != e.id || !s.Fetched.Equal(e.fetched()) {
		e = t.fromStore(s, now)
	}
	t.remember(d, e)
	t.watch(d, e, now)
	t.verdicts.Restore(d, s.Verdicts)
	return e
}

// currentIf returns the domain's current entry if it is of the same fetch as e, else
// nil. The domain's lock is held.
func (t *Table) currentIf(d mtasts.Domain, e *Entry) *Entry {
	if current := t.current(d); current.Same(e) {
		return current
	}
	return nil
}

// bytesPerEntry is how much memory policies may take for each entry that there may
// be. A policy has a few hundred bytes; only an attacker publishes many of the 64
// KiB that each may have.
const bytesPerEntry = 2 << 10

// remember makes e what memory has of the domain's policy. If policies are uncommonly
// long, fewer of them fit. The domain's lock is held.
func (t *Table) remember(d mtasts.Domain, e *Entry) {
	t.removeEntry(d) // so that the size of the one before is subtracted
	t.bytes.Add(e.bytes())
	t.policies.Add(d, e)
	limit := int64(t.limits.Load().Entries) * bytesPerEntry
	for t.bytes.Load() > limit && t.policies.Len() > 1 {
		t.policies.RemoveOldest()
	}
}

// removeEntry removes the domain's entry from memory. The domain's lock is held.
func (t *Table) removeEntry(d mtasts.Domain) {
	t.policies.Remove(d)
	t.takeEvicted(d) // the LRU calls noteEviction here too
}

// noteEviction is called by the LRU for each entry that leaves it, under the LRU's
// lock, so it does not touch the file. The entry stays the current one until it is
// saved or loaded again.
func (t *Table) noteEviction(d mtasts.Domain, e *Entry) {
	t.bytes.Add(-e.bytes())
	t.evictedMu.Lock()
	defer t.evictedMu.Unlock()
	t.evicted[d] = e
}

// takeEvicted returns the domain's evicted entry if it has not been saved, else nil.
// The domain's lock is held.
func (t *Table) takeEvicted(d mtasts.Domain) *Entry {
	t.evictedMu.Lock()
	defer t.evictedMu.Unlock()
	e := t.evicted[d]
	delete(t.evicted, d)
	return e
}

// saveEvicted writes down what memory knew of evicted policies. No domain's lock is
// held.
func (t *Table) saveEvicted() {
	for {
		d, ok := t.anyEvicted()
		if !ok {
			return
		}
		t.saveOne(d)
	}
}

func (t *Table) anyEvicted() (d mtasts.Domain, ok bool) {
	t.evictedMu.Lock()
	defer t.evictedMu.Unlock()
	for d := range t.evicted {
		return d, true
	}
	return d, false
}

func (t *Table) saveOne(d mtasts.Domain) {
	mu := t.lockOf(d)
	mu.Lock()
	defer mu.Unlock()
	e, now := t.takeEvicted(d), t.clock.Now()
	if e == nil || !e.hasNews(e.next(now, t.limits.Load())) {
		return
	}
	if s, ok := t.store.Get(d); ok && s.ID == e.id && s.Fetched.Equal(e.fetched()) {
		t.save(d, e, now)
	}
}

// save writes the entry down. The domain's lock is held.
func (t *Table) save(d mtasts.Domain, e *Entry, now clock.Moment) {
	s := t.toStore(d, e, now)
	e.noteStored(s.Next)
	t.store.Put(s)
	t.watch(d, e, now)
}

// flushStep is how many entries are written before the disk is waited for: what
// waits is in memory twice.
const flushStep = 1000

// Flush writes down what only memory knows.
func (t *Table) Flush() {
	t.writeAll(func(e *Entry, now clock.Moment) bool { return e.hasNews(e.next(now, t.limits.Load())) })
}

// Rewrite writes down everything that memory knows, for a store that lost its file.
func (t *Table) Rewrite() {
	t.writeAll(func(*Entry, clock.Moment) bool { return true })
}

func (t *Table) writeAll(wanted func(*Entry, clock.Moment) bool) {
	for i, d := range t.policies.Keys() {
		t.writeOne(d, wanted)
		if (i+1)%flushStep == 0 {
			t.store.Flush() // if it fails, the store reports it
		}
	}
}

func (t *Table) writeOne(d mtasts.Domain, wanted func(*Entry, clock.Moment) bool) {
	defer t.unlock(t.lock(d))
	now := t.clock.Now()
	if e, ok := t.policies.Peek(d); ok && wanted(e, now) {
		t.save(d, e, now)
	}
}

// Save writes the domain's policy down again, with the verdicts on its next hops. It
// reports whether memory has the policy.
func (t *Table) Save(d mtasts.Domain) bool {
	defer t.unlock(t.lock(d))
	e, ok := t.policies.Peek(d)
	if ok {
		t.save(d, e, t.clock.Now())
	}
	return ok
}
