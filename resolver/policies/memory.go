package policies

import (
	"hash/maphash"
	"sync"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
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
	return t.policies.peek(d).LiveAt(now)
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
	if t.policies.use(d) == e {
		return
	}
	// e was evicted, and perhaps saved, before the lookup was noted.
	d = d.Clone() // memory may keep it
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
	case n.unknown:
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

// Has reports whether the domain has a policy, live or expired, and leaves no trace of the question.
func (t *Table) Has(d mtasts.Domain) bool {
	if t.policies.peek(d) != nil {
		return true
	}
	_, ok := t.store.Get(d)
	return ok
}

// current is Get for those who hold the domain's lock.
func (t *Table) current(d mtasts.Domain) *Entry {
	if e := t.policies.use(d); e != nil {
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
	e := t.policies.takeEvicted(d)
	if e == nil || s.ID != e.id || !s.Fetched.Equal(e.fetched()) {
		e = t.fromStore(s, now)
	}
	if !t.keep(d, e) {
		return nil
	}
	t.watch(d, e, now)
	t.verdicts.Restore(d, s.Verdicts)
	return e
}

// keep makes e the domain's policy in memory, and reports whether it did: a purge of everything may
// have voided e meanwhile. A purge first makes policies void and then removes those in memory, so e
// is added before it is judged. The domain's lock is held.
func (t *Table) keep(d mtasts.Domain, e *Entry) bool {
	t.policies.put(d, e, t.limits.Load().Entries)
	void := e.purges < t.store.PurgedBelow()
	if void {
		t.policies.remove(d)
	}
	return !void
}

// RestoreVerdicts gives memory the stored verdicts on the domain's next hops again.
func (t *Table) RestoreVerdicts(d mtasts.Domain) {
	defer t.unlock(t.lock(d))
	if s, ok := t.store.Get(d); ok {
		t.verdicts.Restore(d, s.Verdicts)
	}
}

// currentIf returns the domain's current entry if it is of the same fetch as e, else
// nil. The domain's lock is held.
func (t *Table) currentIf(d mtasts.Domain, e *Entry) *Entry {
	if current := t.current(d); current.Same(e) {
		return current
	}
	return nil
}

// saveEvicted writes down what memory knew of evicted policies. No domain's lock is
// held.
func (t *Table) saveEvicted() {
	for {
		d, ok := t.policies.anyEvicted()
		if !ok {
			return
		}
		t.saveOne(d)
	}
}

func (t *Table) saveOne(d mtasts.Domain) {
	mu := t.lockOf(d)
	mu.Lock()
	defer mu.Unlock()
	e, now := t.policies.takeEvicted(d), t.clock.Now()
	if e == nil || !e.hasNews(e.next(now, t.limits.Load())) {
		return
	}
	if s, ok := t.store.Get(d); ok && s.ID == e.id && s.Fetched.Equal(e.fetched()) {
		t.save(d, e, now)
	}
}

// save writes the entry down; verdicts are newer than those known. The domain's lock is held.
func (t *Table) save(d mtasts.Domain, e *Entry, now clock.Moment, verdicts ...store.Verdict) {
	s := t.toStore(d, e, now, verdicts)
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
	for i, d := range t.policies.domains() {
		t.writeOne(d, wanted)
		if (i+1)%flushStep == 0 {
			t.store.Flush() // if it fails, the store reports it
		}
	}
}

func (t *Table) writeOne(d mtasts.Domain, wanted func(*Entry, clock.Moment) bool) {
	defer t.unlock(t.lock(d))
	now := t.clock.Now()
	if e := t.policies.peek(d); e != nil && wanted(e, now) {
		t.save(d, e, now)
	}
}

// SaveVerdicts writes new verdicts on the domain's next hops down with its policy, and reports
// whether it has one. They may be gone from memory already.
func (t *Table) SaveVerdicts(d mtasts.Domain, verdicts ...store.Verdict) bool {
	defer t.unlock(t.lock(d))
	e := t.current(d)
	if e != nil {
		t.save(d, e, t.clock.Now(), verdicts...)
	}
	return e != nil
}
