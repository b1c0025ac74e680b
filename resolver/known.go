package resolver

import (
	"context"
	"errors"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// Known is what is known of a domain, for an operator.
type Known struct {
	Domain mtasts.Domain
	// Policy is nil where the domain is known to have none.
	Policy *mtasts.Policy
	// ID is the policy id of the record seen before Policy was fetched.
	ID      string
	Fetched time.Time
	// Expires is when Policy ends, or ended, or the knowledge that there is
	// none.
	Expires time.Time
	// Recheck is from when on a lookup asks for the record again.
	Recheck time.Time
	// Refresh is when Policy is fetched again by itself; zero for not.
	Refresh time.Time
	// Used is when the domain was last looked up, give or take some minutes.
	Used time.Time
	// Failures counts the fetches that failed in a row, for FailedID.
	Failures int
	FailedID string
	// DANE is what DANE said last of mail to the domain's MX hosts; the zero Kind
	// where it is not looked up, or not known.
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

// Policies yields what is known of every domain with a policy, one expired
// within the last weeks too. Changes made meanwhile may show or not.
func (r *Resolver) Policies(yield func(Known) bool) {
	for s := range r.cache.store.All {
		if !yield(r.known(s)) {
			return
		}
	}
}

// PolicyCount returns how many that are.
func (r *Resolver) PolicyCount() int { return r.cache.store.Len() }

// Known returns what is known of a domain, false for nothing.
func (r *Resolver) Known(d mtasts.Domain) (Known, bool) {
	now := r.clock.now()
	k := Known{Domain: d}
	if s, ok := r.cache.store.Get(d); ok {
		k = r.known(s)
	} else if a, ok := r.cache.absences.Peek(d); ok && now < a.until {
		k.Expires = r.clock.time(a.until)
		if a.trouble != nil {
			k.Failures, k.FailedID = a.failures, a.id
		}
	}
	for _, hop := range r.cache.hops(d) {
		if v, ok := r.cache.verdicts.Peek(hop); ok && now < v.until {
			k.Verdicts = append(k.Verdicts, Verdict{hop, v.kind, r.clock.time(v.until)})
		}
	}
	return k, !k.Expires.IsZero() || k.Verdicts != nil
}

func (r *Resolver) known(s store.Entry) Known {
	now := r.clock.now()
	e := r.cache.peek(s, now)
	k := Known{
		Domain:  s.Domain,
		Policy:  &e.policy,
		ID:      e.id,
		Fetched: e.fetched,
		Expires: r.clock.time(e.expires),
		Recheck: r.clock.time(e.recheck.get()),
		Used:    r.clock.time(e.used.get()),
		DANE:    r.lastDANE(s, now),
	}
	if due := e.refresh.get(); due < e.expires {
		k.Refresh = r.clock.time(due)
	}
	if t := e.trouble.Load(); t != nil {
		k.Failures, k.FailedID = t.failures, t.id
	}
	return k
}

// lastDANE returns what DANE said last of the domain's MX hosts, as long as that
// may still be answered. s is what the store has of the domain.
func (r *Resolver) lastDANE(s store.Entry, now moment) (kind dane.Kind) {
	hop := NextHop{Domain: s.Domain, MX: true, Port: smtpPort}
	if !r.asksDANE(hop) {
		return kind
	}
	last, ok := r.cache.verdicts.Peek(hop)
	if !ok {
		for _, stored := range s.Verdicts {
			if stored.MX == hop.MX && stored.Port == hop.Port {
				last = r.cache.fromStored(stored, now)
			}
		}
	}
	if last != nil && last.holds(now) {
		kind = last.kind
	}
	return kind
}

// errNoName is for names that are too long to have a policy.
var errNoName = errors.New("the name is too long for a domain with a policy")

// Refresh fetches the domain's policy now, however recently that was done or
// failed. The error is why there is nothing newer than what was known.
func (r *Resolver) Refresh(ctx context.Context, d mtasts.Domain) error {
	if !d.CanPublish() {
		return errNoName
	}
	// A discovery under way may have begun for less than a fetch: that one is
	// waited for, and then comes ours.
	for ours := false; !ours; {
		landed := r.flights.DoChan(d.String(), func() (any, error) {
			ours = true
			return r.flight(d, asked, Answer{})
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

// Purge forgets all that is known of a domain, here and in the fleet: its next
// lookup discovers it anew, without protection should that fail. The error says
// that the fleet has not heard of it yet.
func (r *Resolver) Purge(ctx context.Context, d mtasts.Domain) error {
	r.forget(d, whenever)
	return r.tellPurge(ctx, func(f Fleet, ctx context.Context) error { return f.Purge(ctx, d) })
}

// PurgeAll forgets every domain, as Purge does one.
func (r *Resolver) PurgeAll(ctx context.Context) error {
	r.forgetAll(whenever)
	return r.tellPurge(ctx, Fleet.PurgeAll)
}

func (r *Resolver) forget(d mtasts.Domain, voided func(fetched time.Time) bool) {
	for _, hop := range r.cache.hops(d) {
		r.cache.verdicts.Remove(hop)
	}
	r.cache.forget(d, voided)
}

// forgetAll forgets the policies that were fetched at a time that is voided, and
// all that is known besides policies.
func (r *Resolver) forgetAll(voided func(fetched time.Time) bool) {
	r.cache.verdicts.Purge()
	r.cache.absences.Purge()
	for _, d := range r.cache.policies.Keys() {
		r.cache.forget(d, voided)
	}
	forgotten := 0
	for s := range r.cache.store.All {
		if !voided(s.Fetched) {
			continue
		}
		r.cache.forget(s.Domain, voided)
		if forgotten++; forgotten%flushStep == 0 {
			r.cache.store.Flush() // where it fails, the store tells
		}
	}
}

// Check goes the way of a lookup that memory cannot answer, as far as the
// policy file. That it returns is the answer: no lock is held for good and the
// file can be read.
func (r *Resolver) Check(d mtasts.Domain) { r.cache.known(d, r.clock.now()) }

// peek returns the entry of which the store has s, as memory knows it.
func (c *cache) peek(s store.Entry, now moment) *entry {
	if e, ok := c.policies.Peek(s.Domain); ok {
		return e
	}
	return c.fromStore(s, now)
}

// hops are the next hops of a domain with a verdict.
func (c *cache) hops(d mtasts.Domain) (hops []NextHop) {
	for _, hop := range c.verdicts.Keys() {
		if hop.Domain == d {
			hops = append(hops, hop)
		}
	}
	return hops
}
