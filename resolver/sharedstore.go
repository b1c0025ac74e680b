package resolver

import (
	"context"
	"fmt"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/shared"
)

// SharedStore is what several nodes know together, as *shared.Client has it: a second
// memory, asked before the network is. If it cannot answer at once, that counts as not known.
// Absences and verdicts of DANE are not shared.
type SharedStore interface {
	Get(context.Context, mtasts.Domain) shared.Value
	Put(mtasts.Domain, shared.Entry)
	Lease(context.Context, mtasts.Domain) bool
	Purge(context.Context, mtasts.Domain) (number uint64, err error)
	PurgeAll(context.Context) (number uint64, err error)
	Changes() <-chan shared.Change
}

const (
	// leaseTimeout is how long a refresh waits for a lease, counted from the
	// first that was refused: anybody who can write to the shared store can hold
	// every lease for ever.
	leaseTimeout = 2 * shared.LeaseLife

	// purgePatience is how long an operator waits until a purge has reached the shared
	// store.
	purgePatience = 5 * time.Second
)

// askShared asks the shared store for the domain's policy.
func (d *discovery) askShared() *outcome {
	if d.shared == nil || d.why == asked {
		return nil
	}
	leave, o := d.enter(d.limits.records)
	if o != nil {
		return o
	}
	asked := d.policies.Asked()
	v := d.shared.Get(d.ctx, d.domain())
	leave()
	before := d.known
	d.known = d.adopt(d.domain(), v, asked).LiveAt(d.clock.Now())
	if d.known != nil && d.why == firstDiscovery {
		// The domain is known now: floods of unknown names and a busy policy host do not delay it.
		d.why, d.limits = recheck, d.load.of(recheck)
	}
	if now := d.clock.Now(); d.known != nil && !d.known.Same(before) && !d.known.RecheckDue(now) && !d.known.RefreshDue(now) {
		return &outcome{kind: settled}
	}
	return d.nothingToRefresh() // another node may have purged it
}

// adopt takes over the shared store's value of the domain if that is newer, and returns
// the domain's policy, live or expired. asked is when the value was asked for.
func (r *Resolver) adopt(d mtasts.Domain, v shared.Value, asked policies.Asked) *policies.Entry {
	if v.Number > 0 || !v.Purged.IsZero() {
		r.forget(d, v.Voids)
	}
	if v.Entry == nil {
		return r.policies.Get(d)
	}
	return r.policies.PutIfNewer(d, policies.Fetch{
		Policy:  v.Entry.Policy,
		ID:      v.Entry.ID,
		Recheck: r.clock.Origin().Moment(v.Entry.Recheck),
		Asked:   policies.Asked{Purges: v.Entry.Purges, Noted: asked.Noted},
	}, v.Entry.Fetched)
}

// share gives the shared store a policy that this node has fetched. One with max_age 0 voids
// policies until the end of its fetch: to fetch once more is cheap.
func (d *discovery) share(e *policies.Entry) {
	if d.shared == nil {
		return
	}
	at := e.Began()
	if e.Policy().MaxAge == 0 {
		at = e.Fetched()
	}
	d.shared.Put(d.domain(), shared.Entry{ID: e.ID(), Policy: *e.Policy(), Fetched: at,
		Recheck: d.clock.Origin().Wall(d.recheckAt), Purges: e.Purges()})
}

// mayRefresh reports whether this node is the one to refresh the policy.
func (d *discovery) mayRefresh() bool {
	if d.shared == nil {
		return true
	}
	lease := func() bool { return d.shared.Lease(d.ctx, d.domain()) }
	return d.policies.MayRefresh(d.domain(), d.known, lease, leaseTimeout)
}

// followShared takes over the changes of other nodes.
func (r *Resolver) followShared() {
	for {
		select {
		case change := <-r.shared.Changes():
			r.adoptChange(change)
		case <-r.ctx.Done():
			return
		}
	}
}

// adoptChange takes over the change of a node, this one perhaps, if the domain was looked up
// here. Other domains are learned when they are looked up.
func (r *Resolver) adoptChange(change shared.Change) {
	d := change.Domain
	if d.IsZero() {
		r.forgetAll(change.Value)
		return
	}
	absence := r.policies.HasAbsence(d) // a policy that is taken over ends it
	if change.Value.Entry == nil {
		r.purging.Lock()
		defer r.purging.Unlock()
		if !r.policies.NotePurge(d, change.Value.Number) {
			return // this node's own, and its message comes late
		}
		r.policies.ForgetAbsence(d)
	}
	asked := r.policies.Asked()
	if absence || r.policies.Has(d) {
		r.adopt(d, change.Value, asked)
	}
}

// purgeShared lets fn purge the shared store, and returns the number of the purge. The error
// says that this has not happened yet.
func (r *Resolver) purgeShared(ctx context.Context, fn func(context.Context) (uint64, error)) (number uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, purgePatience)
	defer cancel()
	number, err = fn(ctx)
	r.store.RaisePurges(number)
	if err != nil {
		return number, fmt.Errorf("purged here, but not in the shared store yet, so other nodes may bring it back; the daemon keeps trying: %w", err)
	}
	return number, nil
}
