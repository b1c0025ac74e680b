package resolver

import (
	"context"
	"errors"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/store"
)

// Known describes a domain for an operator.
type Known struct {
	policies.Known
	// DANE is the last verdict on mail to the domain's MX hosts; the zero Kind if it is
	// not looked up, or not known.
	DANE dane.Kind
	// Verdicts are what DANE says of the domain's next hops.
	Verdicts []Verdict
}

// Verdict is what DANE says of a next hop until then.
type Verdict struct {
	NextHop NextHop
	Kind    dane.Kind
	Until   time.Time
}

// Policies yields every domain with a policy, including those expired
// within the last 30 days. Changes made meanwhile may show or not.
func (r *Resolver) Policies(yield func(Known) bool) {
	r.policies.All(func(k policies.Known) bool { return yield(r.withDANE(k)) })
}

// Broken yields the domains that announce a policy and have no usable one, as far as
// memory has them.
func (r *Resolver) Broken(yield func(Known) bool) {
	r.policies.Broken(func(k policies.Known) bool { return yield(r.withDANE(k)) })
}

// PolicyCount returns how many domains have a policy.
func (r *Resolver) PolicyCount() int { return r.policies.Len() }

// RefreshFailing returns how many live policies of domains in use could not be refreshed
// the last time.
func (r *Resolver) RefreshFailing() int { return r.policies.Counts().Failing }

// Counts returns how many live policies need the operator.
func (r *Resolver) Counts() policies.Counts { return r.policies.Counts() }

// DNSFails reports whether the DNS answers no question, as far as is known.
func (r *Resolver) DNSFails() bool { return r.dns.outage() != nil }

// Mismatched returns the domains whose enforced policy matches no MX host, those with the
// most lookups first.
func (r *Resolver) Mismatched() []mtasts.Domain { return r.policies.Mismatched() }

// Expiring returns the domains that lose their protection within 48 hours because the refresh
// fails, those that end first first.
func (r *Resolver) Expiring() []mtasts.Domain { return r.policies.Expiring() }

// Brief describes a domain without its Verdicts, which take milliseconds to find; false if
// nothing else is known of it.
func (r *Resolver) Brief(d mtasts.Domain) (Known, bool) {
	found, ok := r.policies.Known(d)
	return r.withDANE(found), ok
}

// Known describes a domain; false if nothing is known of it.
func (r *Resolver) Known(d mtasts.Domain) (Known, bool) {
	k, ok := r.Brief(d)
	for _, v := range r.verdicts.Of(d) {
		k.Verdicts = append(k.Verdicts, Verdict{v.NextHop, v.Kind, r.clock.Origin().Wall(v.Until)})
	}
	return k, ok || k.Verdicts != nil
}

// withDANE adds the last verdict on the domain's MX hosts, as long as it holds.
func (r *Resolver) withDANE(found policies.Known) Known {
	k := Known{Known: found}
	hop := NextHop{Domain: found.Domain, MX: true, Port: dane.SMTPPort}
	if r.asksDANE(hop) {
		k.DANE = r.verdicts.Held(hop, found.Verdicts, r.clock.Now())
	}
	return k
}

// Changes returns the history since then, newest first, and from when on it is complete.
func (r *Resolver) Changes(since time.Time) (changes []store.Change, complete time.Time) {
	return r.store.Changes(since)
}

// errNoName is for names that are too long to have a policy.
var errNoName = errors.New("the name is too long for a domain with a policy")

// Refresh fetches the domain's policy now, however recently that was done or failed. The
// error says why nothing newer was learned.
func (r *Resolver) Refresh(ctx context.Context, d mtasts.Domain) error {
	if !d.CanPublish() {
		return errNoName
	}
	// A discovery under way may have begun for less than a fetch: that one is waited for,
	// and then comes ours.
	for ours := false; !ours; {
		landed := r.flights.DoChan(d.String(), func() (any, error) {
			ours = true
			if !r.begin() {
				return Answer{}, errClosed
			}
			defer r.underway.Done()
			return r.discover(NextHop{Domain: d, MX: true, Port: dane.SMTPPort}, asked)
		})
		select {
		case res := <-landed:
			if ours {
				return res.Err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Purge removes a domain's policy, absence and verdicts, here and in the shared store: its
// next lookup discovers it again, without protection if that fails. The error says that the
// shared store could not be purged yet.
func (r *Resolver) Purge(ctx context.Context, d mtasts.Domain) error {
	r.policies.NotePurge(d, 0)
	r.policies.Forget(d, func(*policies.Entry) bool { return true })
	r.policies.ForgetAbsence(d)
	r.verdicts.Forget(d) // last: a policy that was in the file alone brought its verdicts with it
	if r.shared == nil {
		return nil
	}
	number, err := r.purgeShared(ctx, func(ctx context.Context) (uint64, error) { return r.shared.Purge(ctx, d) })
	if err == nil { // until now a discovery could get the policy from the shared store again
		r.adoptChange(shared.Change{Domain: d, Value: shared.Value{Number: number}})
	}
	return err
}

// PurgeAll purges every domain, as Purge does one. It returns how many policies there
// were.
func (r *Resolver) PurgeAll(ctx context.Context) (forgotten int, err error) {
	number := r.store.Purges() + 1
	r.store.RaisePurges(number)
	forgotten = r.policies.ForgetAll(number)
	r.verdicts.ForgetAll()
	if r.shared == nil {
		return forgotten, nil
	}
	number, err = r.purgeShared(ctx, r.shared.PurgeAll)
	if err == nil { // now, and not when the message comes, by which time more may have been found
		r.forgetAll(shared.Value{Number: number})
	}
	return forgotten, err
}

// forget removes the domain's policy if it is void.
func (r *Resolver) forget(d mtasts.Domain, voids func(fetched time.Time, purges uint64) bool) {
	if r.policies.Forget(d, func(e *policies.Entry) bool { return voids(e.Fetched(), e.Purges()) }) {
		r.verdicts.Forget(d)
	}
}

// forgetAll carries out a purge of all domains by some node, unless that was done: the
// shared store repeats its last one at each start.
func (r *Resolver) forgetAll(v shared.Value) {
	r.purging.Lock()
	defer r.purging.Unlock()
	if v.Number > 0 && v.Number <= r.store.PurgedBelow() {
		return
	}
	defer r.verdicts.ForgetAll()
	if v.Number > 0 {
		r.policies.ForgetAll(v.Number)
		return
	}
	var void []mtasts.Domain // by a node of the version before: its time decides
	r.policies.All(func(k policies.Known) bool {
		void = append(void, k.Domain)
		return true
	})
	for _, d := range void {
		r.forget(d, v.Voids)
	}
}

// Check goes the way of a lookup that memory cannot answer, as far as the policy file, for
// a domain that nobody can have. That it returns is the answer: no lock is held for good
// and the file can be read.
func (r *Resolver) Check(d mtasts.Domain) { r.policies.Get(d) }

// queue is the work of the refresh scheduler.
type queue struct{ *Resolver }

// Due implements refresh.Queue.
func (q queue) Due(failing bool, yield func(mtasts.Domain) bool) { q.policies.Due(failing, yield) }

// readyWait is how long Ready waits: for one probe of each kind and its answer.
const readyWait = 5 * probeInterval

// Ready implements refresh.Queue: without DNS no policy host is found. In an outage the
// domains that are due are probes, since those that failed may have no servers that answer.
// Ready waits for these: under a flood of such domains the outage may be back when the
// scheduler asks again.
func (q queue) Ready() bool {
	out := q.dns.outage()
	if out == nil {
		return true
	}
	suggested := false
	for _, failing := range []bool{true, false} {
		left := maxFailed / 4
		q.policies.Due(failing, func(d mtasts.Domain) bool {
			out.suggest(d)
			suggested = true
			left--
			return left > 0
		})
	}
	return suggested && out.ends(q.ctx, readyWait)
}

// Do implements refresh.Queue.
func (q queue) Do(ctx context.Context, d mtasts.Domain) {
	if !q.policies.Attend(d) {
		return
	}
	select {
	case <-q.startDiscovery(NextHop{Domain: d}, scheduledRefresh, Answer{}):
	case <-ctx.Done():
	}
}
