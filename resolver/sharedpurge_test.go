package resolver

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/shared/sharedtest"
)

func TestSharedPurge(t *testing.T) {
	for name, tc := range map[string]struct {
		silent bool
		purge  func(t *testing.T, r *Resolver) error
		left   string
	}{
		"one":               {false, func(t *testing.T, r *Resolver) error { return r.Purge(t.Context(), hop(t, "a.example").Domain) }, "enforce/1"},
		"all":               {false, purgeAll, ""},
		"one, not heard of": {true, func(t *testing.T, r *Resolver) error { return r.Purge(t.Context(), hop(t, "a.example").Domain) }, "enforce/1"},
		"all, not heard of": {true, purgeAll, "enforce/1"},
	} {
		t.Run(name, func(t *testing.T) {
			withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
				for _, d := range []string{"a.example", "b.example"} {
					w.publish(d, "1", policyText("enforce", "864000"))
					expect(t, a, d, "enforce/1")
					expect(t, b, d, "enforce/1")
				}
				time.Sleep(time.Hour)
				h.Set(func(h *hub) { h.Silent = tc.silent })
				w.publish("a.example", "2", policyText("testing", "864000"))
				w.setTXT("a.example", txtAnswer{err: errServfail})
				if err := tc.purge(t, a); err != nil {
					t.Error(err)
				}
				synctest.Wait()
				expectKnown(t, a, "a.example", "")
				if !tc.silent {
					expectKnown(t, b, "a.example", "")
				}
				expectKnown(t, b, "b.example", tc.left)
				expect(t, b, "a.example", "-") // its recheck finds the purge
			})
		})
	}
}

// A purge removes policies fetched before it, not those fetched after it.
func TestSharedPurgeKeepsLaterPolicies(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		old := time.Now().Add(-time.Hour)
		h.Set(func(h *hub) {
			h.Notify(shared.Change{Value: shared.Value{Purged: old}})
			h.Notify(shared.Change{Domain: hop(t, "a.example").Domain, Value: shared.Value{Purged: old}})
		})
		synctest.Wait()
		expectKnown(t, a, "a.example", "enforce/1")
	})
}

// The administrator gets an error if the purge did not reach the other nodes.
func TestSharedPurgeFails(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		h.Set(func(h *hub) { h.Fault = sharedtest.ErrDown })
		const want = "purged here, but not in the shared store yet, so other nodes may bring it back; the daemon keeps trying: no answer in time"
		if err := a.Purge(t.Context(), hop(t, "a.example").Domain); err == nil || err.Error() != want {
			t.Errorf("one: %v", err)
		}
		expectKnown(t, a, "a.example", "")
		if _, err := a.PurgeAll(t.Context()); err == nil || err.Error() != want {
			t.Errorf("all: %v", err)
		}
	})
}

// A refresh finds out that another node has purged the policy.
func TestRefreshOfAPolicyPurgedElsewhere(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		h.Set(func(h *hub) { h.Silent = true })
		if err := b.Purge(t.Context(), hop(t, "a.example").Domain); err != nil {
			t.Fatal(err)
		}
		time.Sleep(27 * time.Hour)
		expectKnown(t, a, "a.example", "")
		w.expectAsked("a.example", 1, 1)
	})
}

// A fetch that is under way while another node purges its domain does not bring the policy back.
func TestPurgeElsewhereDuringAFetch(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 30 * time.Second})
		expect(t, b, "a.example", "-") // fetches
		w.publish("a.example", "1", policyText("testing", "864000"))
		if err := a.Purge(t.Context(), hop(t, "a.example").Domain); err != nil {
			t.Fatal(err)
		}
		expect(t, a, "a.example", "testing/1")
		time.Sleep(time.Minute)
		expectKnown(t, b, "a.example", "testing/1")
	})
}

// The message of a node's own purge comes late: a policy that is fetched meanwhile is kept.
func TestOwnPurgeComesLate(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		d := hop(t, "a.example").Domain
		w.publish("a.example", "1", policyText("enforce", "864000"))
		h.Set(func(h *hub) { h.Silent = true })
		if err := a.Purge(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: time.Second})
		time.AfterFunc(time.Second/2, func() {
			h.Set(func(h *hub) {
				h.Silent = false
				h.Notify(shared.Change{Domain: d, Value: h.Values[d]})
			})
		})
		expect(t, a, "a.example", "enforce/1")
	})
}

// A policy of another node that a purge has voided does not end the pause after a failed fetch.
func TestVoidPolicyLeavesAbsence(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 30 * time.Second})
		expect(t, b, "a.example", "-") // fetches
		if _, err := a.PurgeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.setHost("a.example", hostAnswer{err: errRefused})
		for range 3 {
			expect(t, a, "a.example", "-")
			time.Sleep(time.Minute)
		}
		w.expectAsked("a.example", 2, 2)
	})
}

// The last purge of everything comes again with each start of a node, perhaps late. It leaves what
// was learned since.
func TestOldPurgeLeavesAbsence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, h := newWorld(t), sharedtest.NewStore()
		st, n := w.memory(), h.Join()
		n.Purges = st
		r := w.resolverIn(n, st)
		if _, err := r.PurgeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second) // its message has come back
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{err: errRefused})
		expect(t, r, "a.example", "-")
		h.Set(func(h *sharedtest.Store) { h.Repeat(n) })
		time.Sleep(time.Second)
		expect(t, r, "a.example", "-")
		w.expectAsked("a.example", 1, 1)
	})
}

// slowNode takes three seconds for each question, and says when one begins.
type slowNode struct {
	*sharedtest.Node
	asked chan string
}

func (n slowNode) Get(ctx context.Context, d mtasts.Domain) shared.Value {
	n.asked <- "value"
	pass(ctx, 3*time.Second)
	return n.Node.Get(ctx, d)
}

func (n slowNode) Lease(ctx context.Context, d mtasts.Domain) bool {
	n.asked <- "lease"
	pass(ctx, 3*time.Second)
	return n.Node.Lease(ctx, d)
}

// A lookup after a purge by another node does not go without a policy because a refresh that was
// under way has nothing to do any more.
func TestLookupDuringARefreshOfAPurgedPolicy(t *testing.T) {
	for _, question := range []string{"value", "lease"} {
		t.Run(question, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, h := newWorld(t), sharedtest.NewStore()
				n, d := slowNode{h.Join(), make(chan string, 10)}, hop(t, "a.example").Domain
				r, other := w.resolverIn(n, w.memory()), w.join(h)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, r, "a.example", "enforce/1")
				<-n.asked
				for asked := ""; asked != question; {
					asked = <-n.asked
				}
				h.Set(func(h *hub) { h.Leases[d] = time.Now().Add(time.Hour) })
				if err := other.Purge(t.Context(), d); err != nil {
					t.Fatal(err)
				}
				synctest.Wait()
				expectKnown(t, r, "a.example", "")
				expect(t, r, "a.example", "enforce/1")
			})
		})
	}
}
