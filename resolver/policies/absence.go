package policies

import (
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
)

// negative is the state of a domain without a live policy.
type negative struct {
	until   clock.Moment
	while   func() bool // nil, or it holds only as long as this returns true
	failure *Failure    // why an announced policy is not there; nil if none is known to be announced
	tried   *Failure    // the last fetch that failed for another id than failure's
	unknown bool        // the last attempt learned nothing of the domain
	failed  int         // such attempts in a row, except for load and this host's own network
	reason  string      // why, for an operator

	// vacant: the file had no policy of the domain, live or expired, when this was the sum
	// of Table.added and the store's Files; 0 if that is not known. The domain's lock
	// guards it.
	vacant uint64
}

func (n *negative) holds(now clock.Moment) bool {
	return now < n.until && (n.while == nil || n.while())
}

// triedBefore returns the last fetch that failed for another id than f's; f may be nil.
func (n *negative) triedBefore(f *Failure) *Failure {
	if n.failure != nil && n.failure.ID != "" && (f == nil || f.ID != n.failure.ID) {
		return n.failure
	}
	return n.tried
}

// untilStep makes an absence of a domain with an expired policy end at the next step of the
// wall clock as well: the policy may be live by the new time. expired may be nil.
func (t *Table) untilStep(expired *Entry, while func() bool) func() bool {
	if expired == nil {
		return while
	}
	steps := t.clock.Steps()
	return func() bool { return t.clock.Steps() == steps && (while == nil || while()) }
}

// Absence is the knowledge that a domain has no usable policy.
type Absence struct {
	// Until is until when lookups are answered from it.
	Until clock.Moment
	// Failure is nil if the domain announces no policy.
	Failure *Failure
	// Reason, for the log, says why the domain has no policy.
	Reason error
	Asked
}

// PutAbsence files an absence, unless the domain has a live policy: then it files
// nothing and returns that.
func (t *Table) PutAbsence(d mtasts.Domain, a Absence) (live *Entry) {
	e, mu := t.lockJudged(d)
	defer t.unlock(mu)
	now := t.clock.Now()
	if live := e.LiveAt(now); live != nil {
		return live
	}
	filed := &negative{until: a.Until, while: t.untilStep(e, nil), failure: a.Failure}
	var before *Failure
	if n, ok := t.negatives.Peek(d); ok {
		before, filed.tried, filed.vacant = n.failure, n.triedBefore(a.Failure), n.vacant
	}
	if a.Failure != nil {
		a.Failure.lookups.Add(1)
		t.reportBroken(d, before, a.Failure)
	}
	t.fileNegative(d, filed, a.Asked)
	if e != nil {
		t.reportEnd(d, e, now, a.Reason)
	}
	return nil
}

// fileNegative keeps n, unless it is void. A purge first makes answers void and then removes
// absences, so n is added before it is judged.
func (t *Table) fileNegative(d mtasts.Domain, n *negative, a Asked) {
	t.negatives.Add(d, n)
	if t.Void(d, a) {
		t.negatives.Remove(d)
	}
}

// Ignorance says that nothing could be learned of a domain, for a reason that is not its
// publisher's. Lookups are answered from it as without a policy, so that they do not wait
// again and again.
type Ignorance struct {
	// Pause is for how long. 0 stands for a time that grows with the number of attempts
	// in a row, by dnsclient.Retry.
	Pause time.Duration
	// While is nil, or the Ignorance holds only as long as While returns true. It is
	// called by lookups, so it must be quick.
	While func() bool
	// Reason is for the log.
	Reason error
	Asked
}

// PutIgnorance files that nothing could be learned, unless the domain has a live
// policy: then it files nothing and returns that. An earlier failure of the domain's
// own stays.
func (t *Table) PutIgnorance(d mtasts.Domain, i Ignorance) (live *Entry) {
	e, mu := t.lockJudged(d)
	defer t.unlock(mu)
	now := t.clock.Now()
	if live := e.LiveAt(now); live != nil {
		return live
	}
	filed := &negative{until: now.Add(i.Pause), while: t.untilStep(e, i.While), unknown: true, reason: i.Reason.Error()}
	if n, ok := t.negatives.Peek(d); ok {
		filed.failure, filed.tried, filed.vacant = n.failure, n.tried, n.vacant
		if n.while == nil || n.while() { // attempts in an outage that has ended do not count
			filed.failed = n.failed
		}
	}
	if i.Pause == 0 {
		filed.failed++
		filed.until = now.Add(dnsclient.Retry(filed.failed))
	}
	t.fileNegative(d, filed, i.Asked)
	if e != nil {
		t.reportEnd(d, e, now, i.Reason)
	}
	return nil
}
