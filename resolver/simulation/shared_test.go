package simulation

import (
	"context"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/shared/sharedtest"
)

// sharedLink is a node's client of the shared store; the model sees its requests
// and replies.
type sharedLink struct {
	*sharedtest.Node
	n *node
}

func (l sharedLink) Get(ctx context.Context, d mtasts.Domain) shared.Value {
	const delay = 10 * time.Millisecond
	before, asked := l.n.st.Purges(), l.n.w.nowLocked()
	v := l.Node.Get(ctx, d)
	pass(ctx, delay)
	l.n.w.locked(func(now instant) {
		learned, purged := v, l.n.about(d).purged
		if purged > asked { // a purge holds against an answer under way
			learned.Entry = nil
		}
		l.n.learnShared(d, learned, before, now, purged == asked) // if both were at once, either may have been first
	})
	return v
}

func (l sharedLink) Put(d mtasts.Domain, e shared.Entry) {
	w := l.n.w
	w.locked(func(instant) {
		f := &fact{policy: e.Policy, id: e.ID, at: e.Fetched.Sub(w.began) - w.wall, boot: otherNode, low: w.wall, high: w.wall, interval: l.n.settings.RefreshInterval, purges: e.Purges}
		w.put[written{d, e.Fetched}] = f
	})
	l.Node.Put(d, e)
}

// written is a policy that a node has sent to the shared store.
type written struct {
	domain  mtasts.Domain
	fetched time.Time
}

// notified takes a change that another node, or this one, has made.
func (n *node) notified(c shared.Change) {
	n.w.locked(func(now instant) {
		if !c.Domain.IsZero() {
			n.learnShared(c.Domain, c.Value, n.st.Purges(), now, true)
			return
		}
		if c.Value.Number > 0 && c.Value.Number <= n.st.PurgedBelow() {
			return // it was carried out
		}
		for _, k := range n.known {
			n.learnPurge(k, c.Value, n.st.Purges(), now)
		}
	})
}

// learnPurge: a purge removes policies fetched by nodes that knew of fewer
// purges. The node knew of purges before it got the value.
func (n *node) learnPurge(k *knowledge, v shared.Value, purges uint64, now instant) {
	switch {
	case purges < v.Number:
		k.purge(now)
		k.lastVerdict().maybe = true // they go with a policy alone
	case v.Number > 0 && v.Number > k.purges, v.Number == 0 && !v.Purged.IsZero():
		k.add(version{from: now, maybe: true})
		k.lastVerdict().maybe = true
		k.failed.volatile = true
	}
	k.purges = max(k.purges, v.Number)
}

// learnShared learns the shared store's value of a domain, which may be void if unsure. An unknown
// domain's policy is taken over for certain, and another text that was fetched later if the clock
// was not set since. A policy that was fetched before a purge is not newer. Otherwise clocks decide.
func (n *node) learnShared(d mtasts.Domain, v shared.Value, purges uint64, now instant, unsure bool) {
	k := n.about(d)
	n.learnPurge(k, v, purges, now)
	if v.Entry == nil {
		return
	}
	f, last := n.w.put[written{d, v.Entry.Fetched}], k.last()
	known := last.certain()
	if f.purges < n.st.PurgedBelow() || known && f.purges < last.fact.purges {
		return
	}
	k.recheckDue = max(k.recheckDue, now+maxRecordLife) // when exactly depends on the clocks of then and now
	copied := *f
	next := version{from: now, fact: &copied, maybe: true}
	switch {
	case n.queueFull: // the one before is removed
		k.add(version{from: now, maybe: true})
	case !known:
		next.maybe = unsure || last.fact != nil || last.maybe
	case last.fact.policy.Text != f.policy.Text:
		next.maybe = f.at <= last.fact.at+stored || last.fact.at <= n.stepped
	case f.purges == last.fact.purges && last.fact.id == f.id && (last.fact.at-f.at).Abs() < stored: // its own copy
		return
	}
	k.add(next)
	if k.failed.at >= f.at { // whether an older policy is taken over depends on clocks too
		k.failed.volatile = true
	} else {
		k.failed, k.blocked, k.refused = failure{}, 0, 0
	}
	n.w.note("  node %d has from the shared store: %v %v", n.number, d, f.policy.Mode)
}
