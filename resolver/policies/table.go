package policies

import (
	"hash/maphash"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/refresh"
	"mta-sts-daemon/resolver/store"
)

// Limits are what a reload may change.
type Limits struct {
	// Entries and NegativeEntries bound how many domains memory holds: with a
	// policy, and without one.
	Entries, NegativeEntries int
	// RefreshInterval is the age at which a policy is fetched again although its id
	// has not changed, if its domain was looked up within Idle.
	RefreshInterval, Idle time.Duration
}

// Verdicts is the owner of what DANE says of a domain's next hops, which is written
// down next to the domain's policy.
type Verdicts interface {
	// Stored returns what is written down.
	Stored(mtasts.Domain) []store.Verdict
	// Restore gives back what was written down. Newer knowledge has precedence.
	Restore(mtasts.Domain, []store.Verdict)
}

// Options are what a Table needs. All fields except Metrics are required.
type Options struct {
	Clock    *clock.Clock
	Store    *store.Store
	Verdicts Verdicts
	Limits   Limits
	Metrics  prometheus.Registerer // nil: no metrics
	Logger   *slog.Logger
}

// Table is what is known of all domains. It is safe for concurrent use.
type Table struct {
	clock    *clock.Clock
	store    *store.Store
	verdicts Verdicts
	logger   *slog.Logger
	limits   atomic.Pointer[Limits]
	start    clock.Moment // when this process began
	metrics  *metrics

	policies  *lru.Cache[mtasts.Domain, *Entry]
	bytes     atomic.Int64 // of the entries in policies, by Entry.bytes
	negatives *lru.Cache[mtasts.Domain, *negative]

	locks [lockCount]sync.Mutex // a domain's lock is the one of its hash
	seed  maphash.Seed

	evictedMu sync.Mutex
	evicted   map[mtasts.Domain]*Entry // whose news the file may lack

	watchMu sync.Mutex
	watched map[mtasts.Domain]watched

	judged    atomic.Int64 // steps of the wall clock by which policies were judged
	voidBelow atomic.Uint64
}

const lockCount = 64

// negative is what is known of a domain without a live policy.
type negative struct {
	until   clock.Moment
	while   func() bool // nil, or it holds only as long as this returns true
	failure *Failure    // why an announced policy is not there; nil if none is known to be announced
	unknown int         // attempts in a row that learned nothing of the domain; 0 if the last one did
	reason  string      // why, for an operator
}

func (n *negative) holds(now clock.Moment) bool {
	return now < n.until && (n.while == nil || n.while())
}

// New returns a Table of what the store has. It panics if a limit of entries is not
// positive; the configuration refuses that.
func New(o Options) *Table {
	t := &Table{clock: o.Clock, store: o.Store, verdicts: o.Verdicts, logger: o.Logger,
		start: o.Clock.Now(), seed: maphash.MakeSeed(), evicted: map[mtasts.Domain]*Entry{}, watched: map[mtasts.Domain]watched{}}
	t.limits.Store(&o.Limits)
	t.judged.Store(int64(o.Clock.Steps()))
	var err error
	if t.policies, err = lru.NewWithEvict(o.Limits.Entries, t.noteEviction); err != nil {
		panic(err)
	}
	if t.negatives, err = lru.New[mtasts.Domain, *negative](o.Limits.NegativeEntries); err != nil {
		panic(err)
	}
	t.metrics = newMetrics(o.Metrics, t)
	return t
}

// Configure puts other limits in force.
func (t *Table) Configure(l Limits) {
	t.limits.Store(&l)
	t.policies.Resize(l.Entries)
	t.negatives.Resize(l.NegativeEntries)
	t.saveEvicted()
}

func (t *Table) lockOf(d mtasts.Domain) *sync.Mutex {
	return &t.locks[maphash.String(t.seed, d.String())%lockCount]
}

// lock locks the domain and returns the function that unlocks it. What memory
// evicted meanwhile is written down after that.
func (t *Table) lock(d mtasts.Domain) (unlock func()) {
	mu := t.lockOf(d)
	mu.Lock()
	return func() {
		mu.Unlock()
		t.saveEvicted()
	}
}

// Live returns the domain's live policy if memory has it.
func (t *Table) Live(d mtasts.Domain, now clock.Moment) *Entry {
	e, _ := t.policies.Peek(d)
	return e.LiveAt(now)
}

// Use notes a lookup answered by e. The LRU learns of it once in usedStep, so most
// lookups write nothing and do not take its lock.
func (t *Table) Use(d mtasts.Domain, e *Entry, now clock.Moment) {
	if now.Sub(e.used.Get()) > usedStep {
		e.used.Set(now)
		t.policies.Get(d)
	}
}

// Negative reports whether memory knows that the domain has no usable policy.
func (t *Table) Negative(d mtasts.Domain, now clock.Moment) bool {
	n, ok := t.negatives.Get(d)
	if !ok || !n.holds(now) {
		return false
	}
	if n.failure != nil {
		n.failure.lookups.Add(1)
	}
	return true
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
// it; nil if there is none.
func (t *Table) Get(d mtasts.Domain) *Entry {
	if e, ok := t.policies.Get(d); ok {
		return e
	}
	defer t.lock(d)()
	return t.current(d)
}

// current is Get for those who hold the domain's lock.
func (t *Table) current(d mtasts.Domain) *Entry {
	if e, ok := t.policies.Get(d); ok {
		return e
	}
	s, ok := t.store.Get(d)
	if !ok {
		return nil
	}
	now := t.clock.Now()
	e := t.takeEvicted(d)
	if e == nil || s.ID != e.id || !s.Fetched.Equal(e.fetched) {
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
	if current := t.current(d); current.same(e) {
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
	t.removeEntry(d) // so that what the one before takes is subtracted
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
	if s, ok := t.store.Get(d); ok && s.ID == e.id && s.Fetched.Equal(e.fetched) {
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

// Fetch is a policy that was just fetched.
type Fetch struct {
	Policy mtasts.Policy
	// ID is the id of the record seen before the fetch.
	ID string
	// Recheck is when the record is due to be asked for again.
	Recheck clock.Moment
	// RecordLost: there was no record, and the fetch followed an older one (RFC
	// 8461 section 10.2).
	RecordLost bool
	// Purges is the number of the last purge known when the fetch began.
	Purges uint64
	// ToMX: a lookup for mail to the domain's MX hosts waits for it.
	ToMX bool
}

// Put makes a policy just fetched the domain's, in the place of the one before, of
// whatever mode and max_age, and returns it. One with max_age 0 leaves nothing in
// its place, and one whose fetch began before a purge of everything is not kept
// either.
func (t *Table) Put(d mtasts.Domain, f Fetch) *Entry {
	t.Observe()
	defer t.lock(d)()
	before, now := t.current(d), t.clock.Now()
	e := &Entry{
		policy: f.Policy,
		id:     f.ID,
		// Whole seconds, as the file has them: what is read back is the same.
		fetched: store.Fetched{Wall: t.clock.Origin().Wall(now).UTC().Truncate(time.Second), At: now, ThisBoot: true},
		purges:  f.Purges,
		toMX:    f.ToMX,
	}
	e.judge(t.clock.Origin(), now, t.start)
	e.recheck.Set(f.Recheck)
	e.used.Set(now)
	if before != nil {
		e.used.Set(before.used.Get())
		e.toMX = e.toMX || before.toMX
		if f.RecordLost {
			e.recordGone = before.recordGone
		}
		if before.policy.Mode == e.policy.Mode {
			e.mismatch = before.mismatch // until the MX hosts are judged again
		}
	}
	e.plan(before, now, t.limits.Load(), rand.Float64())
	if e.policy.MaxAge > 0 && e.purges >= t.voidBelow.Load() {
		t.replace(d, e, now)
	} else {
		t.drop(d)
	}
	t.reportFetched(d, before, e, now)
	return e
}

// PutIfNewer makes a policy that another node has fetched the domain's, unless the
// current one knows of a later purge or was fetched later. It returns the current
// one, which may have expired.
func (t *Table) PutIfNewer(d mtasts.Domain, f Fetch, fetched time.Time) *Entry {
	defer t.lock(d)()
	before, now := t.current(d), t.clock.Now()
	e := &Entry{policy: f.Policy, id: f.ID, fetched: store.Fetched{Wall: fetched}, purges: f.Purges, toMX: f.ToMX}
	if !e.newer(before) || e.purges < t.voidBelow.Load() {
		return before
	}
	o := t.clock.Origin()
	e.judge(o, now, t.start)
	e.recheck.Set(min(f.Recheck, now.Add(MaxRecheck)))
	e.used.Set(now)
	if before != nil {
		e.used.Set(before.used.Get())
	}
	e.plan(nil, began(e.fetched, o, now, t.start), t.limits.Load(), rand.Float64())
	t.replace(d, e, now)
	t.reportFetched(d, before, e, now)
	return e
}

// replace makes e the domain's policy. The domain's lock is held.
func (t *Table) replace(d mtasts.Domain, e *Entry, now clock.Moment) {
	t.remember(d, e)
	t.negatives.Remove(d)
	t.save(d, e, now)
}

// drop leaves nothing of the domain. The domain's lock is held.
func (t *Table) drop(d mtasts.Domain) {
	t.removeEntry(d)
	t.negatives.Remove(d)
	t.store.Delete(d)
	t.unwatch(d)
}

// Absence is the knowledge that a domain has no usable policy.
type Absence struct {
	// Until is until when lookups are answered from it.
	Until clock.Moment
	// Failure is nil if the domain announces no policy.
	Failure *Failure
	// Reason is why there is no policy, for the log.
	Reason error
}

// Ignorance is that nothing could be learned of a domain, for a reason that is not its
// publisher's. Lookups are answered from it all the same, as without a policy, so that
// they do not wait again and again.
type Ignorance struct {
	// Until is until when that is so. 0 stands for a time that grows with the number
	// of attempts in a row, by dnsclient.Retry.
	Until clock.Moment
	// While is nil, or the Ignorance holds only as long as While returns true. It is
	// called by lookups, so it must be quick.
	While func() bool
	// Reason is for the log.
	Reason error
}

// PutAbsence files an absence, unless the domain has a live policy: then it files
// nothing and returns that.
func (t *Table) PutAbsence(d mtasts.Domain, a Absence) (live *Entry) {
	t.Observe()
	defer t.lock(d)()
	e, now := t.current(d), t.clock.Now()
	if live := e.LiveAt(now); live != nil {
		return live
	}
	var before *Failure
	if n, ok := t.negatives.Peek(d); ok {
		before = n.failure
	}
	if a.Failure != nil {
		a.Failure.lookups.Add(1)
		t.reportBroken(d, before, a.Failure)
	}
	t.negatives.Add(d, &negative{until: a.Until, failure: a.Failure})
	if e != nil {
		t.reportEnd(d, e, now, a.Reason)
	}
	return nil
}

// PutIgnorance files that nothing could be learned, unless the domain has a live
// policy: then it files nothing and returns that. What is known of a failure of the
// domain's own stays.
func (t *Table) PutIgnorance(d mtasts.Domain, i Ignorance) (live *Entry) {
	t.Observe()
	defer t.lock(d)()
	e, now := t.current(d), t.clock.Now()
	if live := e.LiveAt(now); live != nil {
		return live
	}
	filed := &negative{until: i.Until, while: i.While, unknown: 1, reason: i.Reason.Error()}
	if n, ok := t.negatives.Peek(d); ok {
		filed.failure, filed.unknown = n.failure, n.unknown+1
	}
	if i.Until == 0 {
		filed.until = now.Add(dnsclient.Retry(filed.unknown))
	}
	t.negatives.Add(d, filed)
	if e != nil {
		t.reportEnd(d, e, now, i.Reason)
	}
	return nil
}

// Recheck files that the policy e still holds and when the record is due to be asked
// for again. gone is why there is no valid record; nil if there is one that names e,
// or if the DNS failed.
func (t *Table) Recheck(d mtasts.Domain, e *Entry, next clock.Moment) {
	defer t.lock(d)()
	if e = t.currentIf(d, e); e == nil {
		return
	}
	e.recheck.Set(next)
	if now := t.clock.Now(); e.next(now, t.limits.Load()) != e.storedNext {
		t.save(d, e, now) // it was out of use and is to be refreshed again
	}
}

// RecordGone files that a live policy has no valid record any more.
func (t *Table) RecordGone(d mtasts.Domain, e *Entry, reason error) {
	defer t.lock(d)()
	if e = t.currentIf(d, e); e == nil || e.recordGone != 0 {
		return
	}
	e.recordGone = t.clock.Now()
	t.save(d, e, e.recordGone)
	t.reportRecordGone(d, e, reason)
}

// RecordFound files that the record names a live policy. That ends a failure to
// fetch for another id, and the record's absence.
func (t *Table) RecordFound(d mtasts.Domain, e *Entry) {
	defer t.lock(d)()
	if e = t.currentIf(d, e); e == nil {
		return
	}
	otherID := e.failure != nil && e.failure.ID != e.id
	if e.recordGone == 0 && !otherID {
		return
	}
	e.recordGone = 0
	if otherID {
		e.failure = nil
	}
	t.save(d, e, t.clock.Now()) // or a restart would find it again
	if e.failure == nil {
		t.reportRecovered(d, e)
	}
}

// Fail returns the domain's failure after one more attempt, or one more look at its
// record, that failed now. It files nothing.
func (t *Table) Fail(d mtasts.Domain, word, reason, id string) *Failure {
	return t.Failure(d).again(word, reason, id, t.clock.Now())
}

// Failure returns why the domain's policy could last not be fetched, nil if nothing
// is known of a failure.
func (t *Table) Failure(d mtasts.Domain) *Failure {
	defer t.lock(d)()
	if n, ok := t.negatives.Peek(d); ok && n.failure != nil {
		return n.failure // it came after the policy, if there was one
	}
	if e, ok := t.policies.Peek(d); ok {
		return e.failure
	}
	return nil
}

// RefreshFailed files that a live policy could not be fetched again, and when its
// record is due to be asked for again.
func (t *Table) RefreshFailed(d mtasts.Domain, e *Entry, f *Failure, next clock.Moment) {
	defer t.lock(d)()
	if e = t.currentIf(d, e); e == nil {
		return
	}
	e.recheck.Set(min(next, f.Retry))
	t.failRefresh(d, e, f)
}

func (t *Table) failRefresh(d mtasts.Domain, e *Entry, f *Failure) {
	if e.refresh.Get() != clock.Never {
		e.refresh.Set(f.Retry)
	}
	first := e.failure == nil
	e.failure, e.refused = f, 0
	t.save(d, e, t.clock.Now())
	if first {
		t.reportFailing(d, e)
	}
}

// Postpone makes the refresh of a live policy come a little later, because it was
// refused for load or because this host cannot reach any policy host. Refreshes
// refused for longer than a quarter of the time between two of them count as
// failing: nothing else would tell the operator before the policy ends.
func (t *Table) Postpone(d mtasts.Domain, e *Entry, reason error) {
	defer t.lock(d)()
	if e = t.currentIf(d, e); e == nil {
		return
	}
	now := t.clock.Now()
	if !e.RefreshDue(now) {
		return
	}
	if e.refused == 0 {
		e.refused = now
	}
	limit := min(t.limits.Load().RefreshInterval, e.policy.MaxAge) / 4
	if e.failure == nil && now.Sub(e.refused) > limit {
		f := &Failure{Reason: reason.Error(), ID: e.id, Count: 1, Since: e.refused, Retry: now.Add(postponed)}
		t.failRefresh(d, e, f)
		return
	}
	e.refresh.Set(now.Add(postponed))
	t.save(d, e, now)
}

// MayRefresh reports whether this node is the one of several that refreshes the
// policy; lease asks for that. If it is not, the refresh is postponed until the
// other one must be done, and after patience it is made without a lease.
func (t *Table) MayRefresh(d mtasts.Domain, e *Entry, lease func() bool, patience time.Duration) bool {
	granted := lease() // not under the lock: it asks the shared store
	defer t.lock(d)()
	if e = t.currentIf(d, e); e == nil {
		return granted
	}
	now := t.clock.Now()
	switch {
	case granted, e.lease != 0 && now >= e.lease:
		e.lease = 0
		return true
	case e.lease == 0:
		e.lease = now.Add(patience)
	}
	e.refresh.Set(now.Add(postponed))
	t.save(d, e, now)
	return false
}

// JudgeMX files whether one of the domain's MX hosts matches its policy. hosts are
// all that take mail for it, none if it takes no mail (RFC 7505). A domain that is
// used only as a mail host itself, in brackets, is not judged.
func (t *Table) JudgeMX(d mtasts.Domain, hosts []string) {
	defer t.lock(d)()
	e, now := t.current(d), t.clock.Now()
	if e.LiveAt(now) == nil || !e.toMX {
		return
	}
	mismatch := e.policy.Mode == mtasts.ModeEnforce && len(hosts) > 0 && !e.policy.MatchesAny(hosts)
	if mismatch == (e.mismatch != 0) {
		return
	}
	e.mismatch = 0
	if mismatch {
		e.mismatch = now
	}
	t.save(d, e, now)
	t.reportMismatch(d, e, mismatch, hosts)
}

// UsedForMX notes that mail to the domain's MX hosts is looked up, and reports
// whether that is news.
func (t *Table) UsedForMX(d mtasts.Domain, e *Entry) bool {
	defer t.lock(d)()
	e = t.currentIf(d, e)
	news := e != nil && !e.toMX
	if news {
		e.toMX = true
	}
	return news
}

// Save writes down again what is known of the domain's policy, with the verdicts
// of its next hops.
func (t *Table) Save(d mtasts.Domain) {
	defer t.lock(d)()
	if e, ok := t.policies.Peek(d); ok {
		t.save(d, e, t.clock.Now())
	}
}

// Forget leaves nothing of the domain, unless its policy is one that keep wants.
// It reports whether there was a policy.
func (t *Table) Forget(d mtasts.Domain, keep func(*Entry) bool) bool {
	defer t.lock(d)()
	e := t.current(d)
	if e != nil && keep(e) {
		return false
	}
	t.drop(d)
	if e != nil {
		t.reportPurged(d, e)
	}
	return e != nil
}

// ForgetAbsence forgets that the domain has no policy, and reports whether that was
// known.
func (t *Table) ForgetAbsence(d mtasts.Domain) bool { return t.negatives.Remove(d) }

// ForgetAll forgets every policy whose fetch knew of fewer purges than number, and
// every absence. It returns how many policies there were.
func (t *Table) ForgetAll(number uint64) (forgotten int) {
	before := t.store.Len()
	t.voidBelow.Store(number)
	t.store.PurgeAll(number)
	for _, d := range t.policies.Keys() {
		t.forgetVoid(d, number)
	}
	t.negatives.Purge()
	forgotten = before - t.store.Len()
	t.reportPurgedAll(forgotten)
	return forgotten
}

func (t *Table) forgetVoid(d mtasts.Domain, number uint64) {
	defer t.lock(d)()
	if e, ok := t.policies.Peek(d); ok && e.purges < number {
		t.removeEntry(d)
		t.unwatch(d)
	}
}

// Observe judges the policies of earlier boots again if the wall clock has stepped.
// It is called now and then, and before a decision that would be hard to take back.
func (t *Table) Observe() {
	t.clock.Observe()
	steps := int64(t.clock.Steps())
	if t.judged.Swap(steps) == steps {
		return
	}
	for _, d := range t.policies.Keys() {
		t.judge(d)
	}
}

func (t *Table) judge(d mtasts.Domain) {
	defer t.lock(d)()
	e, ok := t.policies.Peek(d)
	if !ok || e.fetched.ThisBoot {
		return
	}
	now := t.clock.Now()
	e.judge(t.clock.Origin(), now, t.start)
	// When it was last used was judged by the wrong clock: it does not count as
	// out of use. It is due no later than a new policy would be.
	e.used.Set(now)
	if due := e.refresh.Get(); due != clock.Never {
		e.refresh.Set(min(due, now.Add(refresh.After(t.limits.Load().RefreshInterval, e.policy.MaxAge, rand.Float64()))))
	}
	t.save(d, e, now)
}

// flushStep is how many entries are written before the disk is waited for: what
// waits is in memory twice.
const flushStep = 1000

// Flush writes down what only memory knows.
func (t *Table) Flush() {
	t.writeAll(func(e *Entry, now clock.Moment) bool { return e.hasNews(e.next(now, t.limits.Load())) })
}

// Rewrite writes down everything that memory knows, for a store that lost its file.
func (t *Table) Rewrite() { t.writeAll(func(*Entry, clock.Moment) bool { return true }) }

func (t *Table) writeAll(wanted func(*Entry, clock.Moment) bool) {
	for i, d := range t.policies.Keys() {
		t.writeOne(d, wanted)
		if (i+1)%flushStep == 0 {
			t.store.Flush() // if it fails, the store reports it
		}
	}
}

func (t *Table) writeOne(d mtasts.Domain, wanted func(*Entry, clock.Moment) bool) {
	defer t.lock(d)()
	now := t.clock.Now()
	if e, ok := t.policies.Peek(d); ok && wanted(e, now) {
		t.save(d, e, now)
	}
}
