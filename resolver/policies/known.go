package policies

import (
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// State is a domain's state, see the table in the package's comment.
type State string

// The states. A live policy's is its mode.
const (
	StateUnknown State = "unknown"
	StateAbsent  State = "absent"
	StateBroken  State = "broken"
	StateNone    State = "none"
	StateTesting State = "testing"
	StateEnforce State = "enforce"
	StateExpired State = "expired"
)

// Known describes a domain for an operator. Its times are by the wall
// clock; the zero Time stands for never.
type Known struct {
	Domain mtasts.Domain
	State  State
	// Policy is the domain's policy, live or expired; nil if it has none.
	Policy *mtasts.Policy
	// ID is the policy id of the record seen before Policy was fetched.
	ID      string
	Fetched time.Time
	// Expires is when Policy ends, or ended; without one, until when lookups are
	// answered without asking again.
	Expires time.Time
	// Recheck is from when on a lookup asks for the record again.
	Recheck time.Time
	// Refresh is when Policy is fetched again although nobody looks it up.
	Refresh time.Time
	// Used is when the domain was last looked up, to a few minutes.
	Used time.Time
	// RecordGone is since when a live policy has no valid record, Mismatch since when
	// it matches no MX host.
	RecordGone, Mismatch time.Time
	// Deferred counts the lookups in this process while no MX host matched.
	Deferred int64
	// Failing says that the last refresh of a live policy, of a domain in use, failed.
	Failing bool
	// Failure is why the policy could last not be fetched.
	Failure *KnownFailure
	// Verdicts are the stored ones of DANE.
	Verdicts []store.Verdict
	// Reason is why nothing could be learned of the domain last, if that is so.
	Reason string
}

// KnownFailure is a Failure for an operator.
type KnownFailure struct {
	Word, Reason, ID string
	Count            int
	Since, Retry     time.Time
	Lookups          int64 // that went without a policy
}

// All yields every domain with a policy, live or expired. Changes
// made meanwhile may show or not.
func (t *Table) All(yield func(Known) bool) {
	t.store.All(func(s store.Entry) bool {
		k, ok := t.policy(s.Domain, func() (store.Entry, bool) { return s, true })
		return !ok || yield(k)
	})
}

// Broken yields the domains without a live policy that announce one, as far as
// memory has them. A domain stays broken until a discovery finds otherwise.
func (t *Table) Broken(yield func(Known) bool) {
	for _, d := range t.negatives.Keys() {
		if k, ok := t.absence(d); ok && k.State == StateBroken && !yield(k) {
			return
		}
	}
}

// Len returns how many domains have a policy, live or expired.
func (t *Table) Len() int { return t.store.Len() }

// Known describes a domain; false if nothing is known of it.
func (t *Table) Known(d mtasts.Domain) (Known, bool) {
	absence, absent := t.absence(d)
	if k, ok := t.policy(d, func() (store.Entry, bool) { return t.store.Get(d) }); ok {
		if f := t.lastFailure(d, t.policies.peek); f != nil {
			k.Failure = view(f, t.clock.Origin()) // perhaps of the time when the policy had ended
		}
		return k, true
	}
	return absence, absent
}

func (t *Table) absence(d mtasts.Domain) (Known, bool) {
	n, ok := t.negatives.Peek(d)
	if !ok || n.failure == nil && !n.holds(t.clock.Now()) {
		return Known{Domain: d, State: StateUnknown}, false
	}
	o := t.clock.Origin()
	k := Known{Domain: d, State: StateAbsent, Expires: o.Wall(n.until), Failure: view(n.failure, o), Reason: n.reason}
	switch {
	case n.failure != nil:
		k.State = StateBroken
	case n.unknown:
		k.State = StateUnknown
	}
	return k, true
}

// policy describes the domain's policy as memory has it, else as the file has it.
func (t *Table) policy(d mtasts.Domain, stored func() (store.Entry, bool)) (k Known, ok bool) {
	defer t.unlock(t.lock(d))
	now, o := t.clock.Now(), t.clock.Origin()
	e := t.policies.peek(d)
	verdicts := t.verdicts.Stored(d)
	if e == nil {
		s, ok := stored()
		if !ok {
			return k, false
		}
		e, verdicts = t.fromStore(s, now), s.Verdicts
	}
	k = Known{
		Domain:     d,
		State:      State(e.policy.Mode.String()),
		Policy:     &e.policy,
		ID:         e.id,
		Fetched:    e.Fetched(),
		Expires:    o.Wall(e.expires.Get()),
		Recheck:    o.Wall(e.recheck.Get()),
		Used:       o.Wall(e.used.Get()),
		RecordGone: wallOrZero(o, e.recordGone),
		Mismatch:   wallOrZero(o, e.mismatch.Get()),
		Deferred:   t.deferred(d),
		Failure:    view(e.failure, o),
		Failing:    t.failing(e, now),
		Verdicts:   verdicts,
	}
	if e.at != clock.Never {
		k.Fetched = o.Wall(e.at)
	}
	if e.LiveAt(now) == nil {
		k.State, k.Failing = StateExpired, false
	}
	if due := e.refresh.Get(); due < e.expires.Get() {
		k.Refresh = o.Wall(due)
	}
	return k, true
}

func view(f *Failure, o clock.Origin) *KnownFailure {
	if f == nil {
		return nil
	}
	return &KnownFailure{Word: f.Word, Reason: f.Reason, ID: f.ID, Count: f.Count,
		Since: wallOrZero(o, f.Since), Retry: wallOrZero(o, f.Retry), Lookups: f.Lookups()}
}

// wallOrZero returns the wall time of a Moment of which 0 means that it is not set.
func wallOrZero(o clock.Origin, m clock.Moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return o.Wall(m)
}
