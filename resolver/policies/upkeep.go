package policies

import (
	"math/rand/v2"
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/refresh"
)

// Recheck files that the policy e still holds and when the record is due to be asked
// for again.
func (t *Table) Recheck(d mtasts.Domain, e *Entry, next clock.Moment) {
	defer t.unlock(t.lock(d))
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
	defer t.unlock(t.lock(d))
	if e = t.currentIf(d, e); e == nil || e.recordGone != 0 {
		return
	}
	now := t.clock.Now()
	e.change(func(t *trouble) { t.recordGone = now })
	t.save(d, e, now)
	t.reportRecordGone(d, e, reason)
}

// RecordFound files that the record names a live policy. That ends the record's absence, and
// a failure to fetch for another id as soon as that could be fetched again: name servers that
// differ may give both ids in turn.
func (t *Table) RecordFound(d mtasts.Domain, e *Entry) {
	defer t.unlock(t.lock(d))
	if e = t.currentIf(d, e); e == nil {
		return
	}
	now := t.clock.Now()
	otherID := e.failure != nil && e.failure.ID != e.id && now >= e.failure.Retry
	if e.recordGone == 0 && !otherID {
		return
	}
	e.change(func(t *trouble) {
		t.recordGone = 0
		if otherID {
			t.failure = nil
		}
	})
	t.save(d, e, now) // or a restart would find it again
	if e.failure == nil {
		t.reportRecovered(d, e)
	}
}

// Fail returns the domain's failure after one more attempt, or one more look at its
// record, that failed now. It files nothing.
func (t *Table) Fail(d mtasts.Domain, word, reason, id string) *Failure {
	t.Observe() // or a suspend that has just ended would count as time since the failure
	return t.lastFailure(d, t.current).again(word, reason, id, t.clock.Now())
}

// lastFailure returns why the domain's policy could last not be fetched, nil if nothing
// is known of a failure. get returns the policy; it is called with the domain's lock held.
func (t *Table) lastFailure(d mtasts.Domain, get func(mtasts.Domain) *Entry) *Failure {
	defer t.unlock(t.lock(d))
	var last *Failure
	if n, ok := t.negatives.Peek(d); ok {
		last = n.failure
	}
	if e := get(d); e != nil {
		last = last.later(e.failure)
	}
	return last
}

// FailureOf returns why the policy with that id could last not be fetched, nil if nothing is
// known of a failure for the id.
func (t *Table) FailureOf(d mtasts.Domain, id string) *Failure {
	defer t.unlock(t.lock(d))
	var known [4]*Failure
	if n, ok := t.negatives.Peek(d); ok {
		known[0], known[1] = n.failure, n.tried
	}
	if e := t.current(d); e != nil {
		known[2], known[3] = e.failure, e.tried
	}
	var last *Failure
	for _, f := range known {
		if f != nil && f.ID == id {
			last = last.later(f)
		}
	}
	return last
}

// RefreshFailed files that a live policy could not be fetched again, and when its
// record is due to be asked for again.
func (t *Table) RefreshFailed(d mtasts.Domain, e *Entry, f *Failure, next clock.Moment) {
	defer t.unlock(t.lock(d))
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
	e.change(func(t *trouble) {
		if t.failure != nil && t.failure.ID != f.ID {
			t.tried = t.failure
		}
		t.failure, t.refused = f, 0
	})
	t.save(d, e, t.clock.Now())
	if first {
		t.reportFailing(d, e)
	}
}

// Postpone makes the refresh of a live policy come later by a pause, because it was
// refused for load or because this host cannot reach any policy host. Refreshes
// refused for longer than a quarter of the time between two of them count as
// failing: the operator would not learn of it before the policy ends.
func (t *Table) Postpone(d mtasts.Domain, e *Entry, pause time.Duration, reason error) {
	defer t.unlock(t.lock(d))
	if e = t.currentIf(d, e); e == nil {
		return
	}
	now := t.clock.Now()
	if !e.RefreshDue(now) { // the fetch was for a new id, for which the refresh would be the next
		if e.refresh.Get() < now.Add(pause) {
			e.refresh.Set(now.Add(pause))
			t.save(d, e, now)
		}
		return
	}
	if e.refused == 0 {
		e.change(func(t *trouble) { t.refused = now })
	}
	limit := min(t.limits.Load().RefreshInterval, e.policy.MaxAge) / 4
	if e.failure == nil && now.Sub(e.refused) > limit {
		f := &Failure{Reason: reason.Error(), ID: e.id, Count: 1, Since: e.refused, Retry: now.Add(pause)}
		t.failRefresh(d, e, f)
		return
	}
	e.refresh.Set(now.Add(pause))
	t.save(d, e, now)
}

// MayRefresh reports whether this node is the one of several that refreshes the
// policy; lease asks for that. If it is not, the refresh is postponed until the
// other one must be done, and after timeout it is made without a lease.
func (t *Table) MayRefresh(d mtasts.Domain, e *Entry, lease func() bool, timeout time.Duration) bool {
	granted := lease() // not under the lock: it asks the shared store
	defer t.unlock(t.lock(d))
	if e = t.currentIf(d, e); e == nil {
		return granted
	}
	now := t.clock.Now()
	switch {
	case granted, e.leased != 0 && now.Sub(e.leased) >= timeout:
		e.change(func(t *trouble) { t.leased = 0 })
		return true
	case e.leased == 0:
		e.change(func(t *trouble) { t.leased = now })
	}
	e.refresh.Set(now.Add(ShortPause))
	t.save(d, e, now)
	return false
}

// NeedsMX reports whether JudgeMX has something to judge: an enforced policy of a domain
// that is looked up for mail to its MX hosts.
func (t *Table) NeedsMX(d mtasts.Domain) bool {
	defer t.unlock(t.lock(d))
	e := t.current(d)
	return e.LiveAt(t.clock.Now()) != nil && e.ToMX() && e.policy.Mode == mtasts.ModeEnforce
}

// JudgeMX files whether one of the domain's MX hosts matches its policy. hosts are
// all that take mail for it, none if it takes no mail (RFC 7505). A domain that is
// used only as a mail host itself, in brackets, is not judged. asked is when the
// DNS was asked for them; the answer to an earlier question than the last one is ignored.
func (t *Table) JudgeMX(d mtasts.Domain, hosts []string, asked clock.Moment) {
	defer t.unlock(t.lock(d))
	e, now := t.current(d), t.clock.Now()
	if e.LiveAt(now) == nil || !e.ToMX() || asked < e.judgedMX {
		return
	}
	e.judgedMX = asked
	mismatch := e.policy.Mode == mtasts.ModeEnforce && len(hosts) > 0 && !e.policy.MatchesAny(hosts)
	changed := mismatch != e.mismatched()
	if changed {
		since := clock.Moment(0)
		if mismatch {
			since = now
		}
		e.mismatch.Set(since)
	}
	if e.unjudged.Swap(false) || changed { // after mismatch, which lookups would take for judged
		t.save(d, e, now)
	}
	if changed {
		t.reportMismatch(d, e, mismatch, hosts)
	}
}

// UsedForMX notes that mail to the domain's MX hosts is looked up, and reports
// whether that is news.
func (t *Table) UsedForMX(d mtasts.Domain, e *Entry) bool {
	defer t.unlock(t.lock(d))
	e = t.currentIf(d, e)
	news := e != nil && !e.ToMX()
	if news {
		e.toMX.Store(true)
		t.save(d, e, t.clock.Now())
	}
	return news
}

// Observe judges the policies of earlier boots again if the wall clock has stepped.
// It is called now and then, and before a decision that would be hard to take back.
func (t *Table) Observe() {
	t.clock.Observe()
	if t.judged.Load() == int64(t.clock.Steps()) {
		return
	}
	t.judging.Lock() // a lookup at the same moment must not go on with policies not judged yet
	defer t.judging.Unlock()
	steps := int64(t.clock.Steps())
	if t.judged.Load() == steps {
		return
	}
	for _, d := range t.policies.domains() {
		t.judge(d)
	}
	t.judged.Store(steps)
}

// Judged is Get after Observe. Without a policy there is nothing to judge, and Observe,
// which reads slow clocks, is left out.
func (t *Table) Judged(d mtasts.Domain) *Entry {
	e := t.Get(d)
	if e != nil {
		t.Observe()
	}
	return e
}

// lockJudged locks the domain and returns its policy as Judged does, and its lock.
func (t *Table) lockJudged(d mtasts.Domain) (*Entry, *sync.Mutex) {
	mu := t.lock(d)
	e := t.current(d)
	if e == nil {
		return nil, mu
	}
	t.unlock(mu) // Observe takes the locks of other domains
	t.Observe()
	mu = t.lock(d)
	return t.current(d), mu
}

func (t *Table) judge(d mtasts.Domain) {
	defer t.unlock(t.lock(d))
	e := t.policies.peek(d)
	if e == nil || e.at != clock.Never {
		return
	}
	now := t.clock.Now()
	e.judge(t.clock.Origin(), now, t.clock.LastStep())
	// When it was last used was judged by the wrong clock: it does not count as
	// out of use. It is due no later than a new policy would be.
	e.used.Set(now)
	if due := e.refresh.Get(); due != clock.Never {
		e.refresh.Set(min(due, now.Add(refresh.After(t.limits.Load().RefreshInterval, e.policy.MaxAge, rand.Float64()))))
	}
	t.save(d, e, now)
}
