package resolver

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/refresh"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/store"
)

// Fleet is what several Resolvers know together, as *shared.Client has it: a
// second memory, asked before the network is. What it cannot say at once counts
// as not known. Absences and what DANE says are not shared.
type Fleet interface {
	Get(context.Context, mtasts.Domain) shared.Value
	Put(mtasts.Domain, shared.Entry)
	Lease(context.Context, mtasts.Domain) bool
	Purge(context.Context, mtasts.Domain) error
	PurgeAll(context.Context) error
	Changes() <-chan shared.Change
}

const (
	// leasePatience is how long a renewal waits for a lease, counted from the
	// first that was refused: who can write to the shared store can hold every
	// lease for ever.
	leasePatience = 2 * shared.LeaseLife

	// purgePatience is how long an operator waits to hear that a purge has
	// reached the shared store.
	purgePatience = 5 * time.Second
)

// askFleet returns the domain's live policy, or nil, once the fleet has been
// asked. The error is errBusy; then known is as good as before.
func (r *Resolver) askFleet(g *gate, s *Settings, d mtasts.Domain, known *entry) (*entry, error) {
	if r.fleet == nil {
		return known, nil
	}
	if err := g.enter(r.ctx, s.AnswerTimeout); err != nil {
		return known, err
	}
	v := r.fleet.Get(r.ctx, d)
	g.leave()
	return r.adopt(d, v), nil
}

// adopt takes over what the fleet says of the domain where that is newer, and
// returns the domain's live policy, or nil.
func (r *Resolver) adopt(d mtasts.Domain, v shared.Value) *entry {
	now := r.clock.now()
	known := r.cache.known(d, now) // live or expired
	if known != nil && v.Voids(known.fetched) {
		r.forget(d, v.Voids)
		known = nil
	}
	if v.Entry == nil {
		return known.liveAt(now)
	}
	e := r.cache.fromFleet(d, v.Entry, known, now)
	if newest := r.cache.keepNewest(d, e); newest != e {
		return newest.liveAt(now)
	}
	r.cache.mismatched.remove(d) // the node that fetched it tells
	r.tellPolicy(d, known, e)
	return e
}

// fromFleet returns the entry that another node has fetched; known is the
// domain's entry so far, or nil.
func (c *cache) fromFleet(d mtasts.Domain, s *shared.Entry, known *entry, now moment) *entry {
	used := now
	if known != nil {
		used = known.used.get()
	}
	after := refresh.After(c.settings.Load().RefreshInterval, s.Policy.MaxAge, rand.Float64())
	return c.fromStore(store.Entry{
		Domain:  d,
		ID:      s.ID,
		Policy:  s.Policy,
		Fetched: s.Fetched,
		Recheck: s.Recheck,
		Used:    c.clock.time(used),
		Next:    s.Fetched.Add(after),
	}, now)
}

// share tells the fleet of a policy that this node has fetched.
func (r *Resolver) share(d mtasts.Domain, e *entry) {
	if r.fleet != nil {
		r.fleet.Put(d, shared.Entry{ID: e.id, Policy: e.policy, Fetched: e.fetched, Recheck: r.clock.time(e.recheck.get())})
	}
}

// mayRenew reports whether this node is the one of the fleet to renew the
// policy. Where it is not, that is put off until the other one must be done.
func (r *Resolver) mayRenew(d mtasts.Domain, e *entry) bool {
	now := r.clock.now()
	limit := e.leaseLimit.get()
	switch {
	case r.fleet == nil, limit != 0 && now >= limit:
		return true
	case r.fleet.Lease(r.ctx, d):
		e.leaseLimit.set(0)
		return true
	case limit == 0:
		e.leaseLimit.set(now.add(leasePatience))
	}
	e.refresh.set(now.add(postponed))
	return false
}

// followFleet takes over what other nodes tell.
func (r *Resolver) followFleet() {
	for {
		select {
		case change := <-r.fleet.Changes():
			r.hear(change)
		case <-r.ctx.Done():
			return
		}
	}
}

// hear takes over what a node tells, this one perhaps, of a domain that somebody
// has looked up here. The others are learned when they are looked up.
func (r *Resolver) hear(change shared.Change) {
	d := change.Domain
	if d == (mtasts.Domain{}) {
		r.forgetAll(change.Value.Voids)
		return
	}
	_, absent := r.cache.absences.Peek(d)
	if absent || r.cache.known(d, r.clock.now()) != nil {
		r.adopt(d, change.Value)
		r.cache.absences.Remove(d)
	}
}

// tellPurge has the fleet forget too. The error says that it has not heard yet.
func (r *Resolver) tellPurge(ctx context.Context, purge func(Fleet, context.Context) error) error {
	if r.fleet == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, purgePatience)
	defer cancel()
	if err := purge(r.fleet, ctx); err != nil {
		return fmt.Errorf("forgotten here, but the shared store could not be told yet, so other nodes may bring it back; the daemon goes on trying: %w", err)
	}
	return nil
}
