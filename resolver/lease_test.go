package resolver

import (
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/shared/sharedtest"
)

// One node refreshes a policy; the others take it from the shared store.
func TestOneNodeRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(t), sharedtest.NewStore()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		var nodes []*Resolver
		for range 4 {
			nodes = append(nodes, w.join(h))
			expect(t, nodes[len(nodes)-1], "a.example", "enforce/1")
		}
		time.Sleep(4 * day)
		if _, fetches := w.asked("a.example"); fetches < 4 || fetches > 6 {
			t.Errorf("%d fetches in four days", fetches)
		}
		fresh := time.Now().Add(864000*time.Second - 27*time.Hour)
		for i, r := range nodes {
			if k, ok := r.Known(hop(t, "a.example").Domain); !ok || k.Expires.Before(fresh) {
				t.Errorf("node %d has not got the refreshed policy: %+v", i, k)
			}
		}
	})
}

// If the host fails, one node after the other tries; when it recovers, all nodes
// get the policy.
func TestNodesRefreshInTurnIfTheHostFails(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(2 * day)
		w.expectLogged("Policy cannot be refreshed", 2)
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		time.Sleep(2 * time.Hour)
		w.expectLogged("Policy can be refreshed again", 2)
	})
}

// A policy with a new id is fetched without waiting for the holder of the lease.
func TestNewIDNeedsNoLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(t), sharedtest.NewStore()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolverIn(h.Join(), w.memory())
		expect(t, r, "a.example", "enforce/1")
		h.Set(func(h *hub) { h.Leases[hop(t, "a.example").Domain] = time.Now().Add(1000 * day) })
		w.publish("a.example", "2", policyText("testing", "864000"))
		k, _ := r.Known(hop(t, "a.example").Domain)
		time.Sleep(time.Until(k.Refresh) + time.Minute)
		expectKnown(t, r, "a.example", "testing/2")
	})
}

// A lease that is never released does not delay a refresh for long.
func TestLeaseHeldForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(t), sharedtest.NewStore()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolverIn(h.Join(), w.memory())
		expect(t, r, "a.example", "enforce/1")
		h.Set(func(h *hub) { h.Leases[hop(t, "a.example").Domain] = time.Now().Add(1000 * day) })
		k, _ := r.Known(hop(t, "a.example").Domain)
		time.Sleep(time.Until(k.Refresh) + leaseTimeout - 2*time.Minute)
		w.expectAsked("a.example", 9, 1) // once a minute it asks for the lease
		time.Sleep(4 * time.Minute)
		w.expectAsked("a.example", 12, 2)
		time.Sleep(5 * time.Minute)
		w.publish("a.example", "2", policyText("testing", "864000"))
		expect(t, r, "a.example", "testing/2") // a new id needs no lease
		time.Sleep(3 * day)
		if _, fetches := w.asked("a.example"); fetches < 5 {
			t.Errorf("%d fetches", fetches)
		}
	})
}
