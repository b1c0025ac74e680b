package resolver

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/shared/sharedtest"
)

// withTwoNodes runs a test with two nodes, in fake time that does not
// begin on a full second.
func withTwoNodes(t *testing.T, test func(t *testing.T, w *world, h *hub, a, b *Resolver)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		time.Sleep(300 * time.Millisecond)
		w, h := newWorld(t), sharedtest.NewStore()
		test(t, w, h, w.join(h), w.join(h))
	})
}

// What one node found is known to another when it is asked for there, until the
// same moment; the record is asked for when that is due.
func TestSharedDiscoversOnce(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		time.Sleep(4 * time.Minute)
		expectKnown(t, b, "a.example", "")
		expect(t, b, "a.example", "enforce/1")
		w.expectAsked("a.example", 1, 1)
		of := func(r *Resolver) Known { k, _ := r.Known(hop(t, "a.example").Domain); return k }
		if late := of(b).Expires.Sub(of(a).Expires); late > 0 || late < -time.Second {
			t.Errorf("the policy ends %v later at the other node", late)
		}
		time.Sleep(2 * time.Minute)
		expect(t, w.join(h), "a.example", "enforce/1")
		w.expectAsked("a.example", 2, 1)
		w.expectLogged("Policy found", 3)
	})
}

// A policy that one node fetches reaches at once every node that has state of the
// domain.
func TestSharedPolicyIsAnnounced(t *testing.T) {
	for name, tc := range map[string]struct{ mode, maxAge, want string }{
		"new id":           {"enforce", "864000", "enforce/2"},
		"none":             {"none", "864000", "none/2"},
		"not to be kept":   {"none", "0", ""},
		"of another life":  {"testing", "3600", "testing/2"},
		"no shorter by it": {"enforce", "31557600", "enforce/2"},
	} {
		t.Run(name, func(t *testing.T) {
			withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
				w.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, a, "a.example", "enforce/1")
				expect(t, b, "a.example", "enforce/1")
				time.Sleep(time.Hour)
				w.publish("a.example", "2", policyText(tc.mode, tc.maxAge))
				lookUp(t, a, "a.example")
				synctest.Wait()
				expectKnown(t, b, "a.example", tc.want)
				w.expectAsked("a.example", 2, 2)
			})
		})
	}
}

// A policy of another node replaces an absence, but only if a lookup has asked
// for the domain on this node.
func TestSharedPolicyReplacesAnAbsence(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		expect(t, b, "a.example", "-")
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.publish("b.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		expect(t, a, "b.example", "enforce/1")
		synctest.Wait()
		expectKnown(t, b, "a.example", "enforce/1")
		expectKnown(t, b, "b.example", "")
	})
}

// The policies that other nodes fetch for domains of theirs leave no trace on this node.
func TestSharedPoliciesOfOtherNodes(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.setTXT("absent.example", txtAnswer{ttl: day})
		expect(t, b, "absent.example", "-")
		fetched := func(d, id string) {
			w.publish(d, id, policyText("enforce", "864000"))
			expect(t, a, d, "enforce/"+id)
			synctest.Wait()
			expectKnown(t, b, d, "")
		}
		fetched("a.example", "1")
		time.Sleep(10 * time.Minute)
		fetched("a.example", "2")
		for i := range 5 { // more than memory has room for
			fetched(fmt.Sprintf("d%d.example", i), "1")
		}
		expect(t, b, "absent.example", "-")
		w.expectAsked("absent.example", 1, 0)
	})
}

// A policy that arrives while the record is looked up is kept when the answer
// says that there is no record.
func TestSharedPolicyDuringADiscovery(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		expect(t, b, "a.example", "-")
		time.Sleep(time.Hour)
		w.setTXT("a.example", txtAnswer{ttl: time.Hour, delay: 2 * time.Second})
		go func() {
			time.Sleep(time.Second)
			w.publish("a.example", "1", policyText("enforce", "864000"))
			lookUp(t, a, "a.example")
		}()
		lookUp(t, b, "a.example")
		expectKnown(t, b, "a.example", "enforce/1")
		for _, filler := range []string{"1", "2", "3", "4"} { // push it out of memory
			w.publish(filler+".example", "1", policyText("enforce", "864000"))
			expect(t, b, filler+".example", "enforce/1")
		}
		expect(t, b, "a.example", "enforce/1")
	})
}

// An older policy of another node is ignored, even if the newer one has ended.
func TestSharedNewerWins(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		old := h.Join().Get(t.Context(), hop(t, "a.example").Domain)
		time.Sleep(time.Hour)
		w.publish("a.example", "2", policyText("testing", "3600"))
		expect(t, a, "a.example", "testing/2")
		tellOld := func() {
			h.Set(func(h *hub) {
				h.Values[hop(t, "a.example").Domain] = old
				h.Notify(shared.Change{Domain: hop(t, "a.example").Domain, Value: old})
			})
			synctest.Wait()
			expectKnown(t, a, "a.example", "testing/2")
		}
		tellOld()
		w.setTXT("a.example", txtAnswer{})
		w.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(2 * time.Hour)
		tellOld()
		expect(t, a, "a.example", "-")
	})
}

// If the shared store is unavailable, each node works alone.
func TestSharedDown(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		h.Set(func(h *hub) { h.Fault = sharedtest.ErrDown })
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		expect(t, b, "none.example", "-")
		w.expectAsked("a.example", 2, 2)
	})
}

// A lookup that times out waiting for the record uses the shared policy.
func TestSharedPolicyWhileTheDNSHangs(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		time.Sleep(time.Hour)
		w.setTXT("a.example", txtAnswer{delay: time.Minute})
		if got, took := lookUp(t, b, "a.example"); got != "enforce/1" || took > 8*time.Second {
			t.Errorf("%s after %v", got, took)
		}
	})
}

// A domain with a shared policy is not unknown: if its policy host is busy, a lookup gets that
// policy at once, without a warning about mail to unknown domains.
func TestSharedPolicyWhileThePolicyHostIsBusy(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		time.Sleep(time.Hour)
		w.publish("a.example", "2", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{err: errHostBusy})
		if got, took := lookUp(t, b, "a.example"); got != "enforce/1" || took > time.Second {
			t.Errorf("%s after %v", got, took)
		}
		w.expectLogged("Too many unknown domains", 0)
	})
}

// A policy that another node has fetched ends no mismatch, and MX hosts go on being judged.
func TestSharedPolicyKeepsTheMismatch(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		serve := func(host string) {
			s := *b.settings.Load()
			s.MX = mxRecords{{Host: host}}
			b.Configure(s)
		}
		w.publish("a.example", "1", policyText("enforce", "864000"))
		serve("elsewhere.example")
		expect(t, b, "a.example", "enforce/1")
		synctest.Wait()
		time.Sleep(time.Hour)
		w.publish("a.example", "2", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/2")
		synctest.Wait()
		expectKnown(t, b, "a.example", "enforce/2")
		if n := b.Counts().Mismatched; n != 1 {
			t.Errorf("%d mismatches, want 1", n)
		}
		serve("mx.example")
		time.Sleep(2 * time.Hour)
		expect(t, b, "a.example", "enforce/2")
		synctest.Wait()
		if n := b.Counts().Mismatched; n != 0 {
			t.Errorf("%d mismatches once an MX host matches, want 0", n)
		}
	})
}

// A policy that another node has fetched although its record is gone does not bring that back.
func TestSharedPolicyWhoseRecordIsGone(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		w.setTXT("a.example", txtAnswer{ttl: time.Hour})
		time.Sleep(2 * time.Hour)
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		w.expectLogged("Record gone", 2)
		time.Sleep(3 * day) // refreshes
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		w.expectLogged("Record gone", 2)
		w.expectLogged("Policy can be refreshed again", 0)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		time.Sleep(2 * time.Hour)
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		w.expectLogged("Policy can be refreshed again", 2)
	})
}

// MX hosts are judged with the first lookup for mail to a domain whose policy another node has
// fetched, whether its record is due then or not.
func TestSharedPolicyIsJudged(t *testing.T) {
	for name, after := range map[string]time.Duration{"record not due": time.Minute, "record due": 10 * time.Minute} {
		t.Run(name, func(t *testing.T) {
			withTwoNodes(t, func(t *testing.T, w *world, _ *hub, a, b *Resolver) {
				w.publish("a.example", "1", policyText("enforce", "864000"))
				expect(t, a, "a.example", "enforce/1")
				time.Sleep(after)
				w.setMX("a.example", "elsewhere.example")
				expect(t, b, "a.example", "enforce/1")
				synctest.Wait()
				if n := b.Counts().Mismatched; n != 1 {
					t.Errorf("%d mismatches, want 1", n)
				}
			})
		})
	}
}

// The same if another node has announced the policy, or a lookup of the host of that name has
// found it.
func TestPolicyOfUnknownUseIsJudged(t *testing.T) {
	for name, find := range map[string]func(t *testing.T, h NextHop, a, b *Resolver){
		"announced": func(t *testing.T, h NextHop, a, _ *Resolver) { expect(t, a, h.Domain.String(), "enforce/1") },
		"bracketed": func(t *testing.T, h NextHop, _, b *Resolver) {
			h.MX = false
			if _, err := b.Resolve(t.Context(), h); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			withTwoNodes(t, func(t *testing.T, w *world, _ *hub, a, b *Resolver) {
				w.setTXT("a.example", txtAnswer{ttl: time.Minute})
				expect(t, b, "a.example", "-")
				time.Sleep(time.Minute)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				w.setMX("a.example", "elsewhere.example")
				find(t, hop(t, "a.example"), a, b)
				synctest.Wait()
				expect(t, b, "a.example", "enforce/1")
				synctest.Wait()
				if n := b.Counts().Mismatched; n != 1 {
					t.Errorf("%d mismatches, want 1", n)
				}
			})
		})
	}
}

// A policy of another node that seems to come from the future, because the clock was set back,
// lives on: it counts from the step of the clock, and not from a start long ago.
func TestSharedPolicyAfterAStepBack(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, _ *Resolver) {
		w.machine = clocktest.NewMachine(time.Now, "boot of b", time.Hour)
		b := w.join(h)
		time.Sleep(2 * day)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		w.setTXT("a.example", txtAnswer{err: errServfail})
		w.setHost("a.example", hostAnswer{err: errRefused})
		w.machine.SetWall(-2 * time.Hour)
		time.Sleep(10 * time.Second)
		expect(t, b, "a.example", "enforce/1")
		time.Sleep(day)
		expect(t, b, "a.example", "-")
	})
}

// A policy of another node that comes just after a suspend is not taken for one of the future.
func TestSharedPolicyAfterASuspend(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, _, _ *Resolver) {
		w.machine = clocktest.NewMachine(time.Now, "boot of both", time.Hour)
		h.Wall = w.machine.Wall
		a, b := w.join(h), w.join(h)
		time.Sleep(2 * day)
		w.publish("a.example", "1", policyText("enforce", "86400"))
		w.machine.Suspend(13 * time.Hour)
		expect(t, a, "a.example", "enforce/1")
		w.setTXT("a.example", txtAnswer{err: errServfail})
		w.setHost("a.example", hostAnswer{err: errRefused})
		expect(t, b, "a.example", "enforce/1")
		time.Sleep(20 * time.Hour)
		expect(t, b, "a.example", "enforce/1")
	})
}

// A policy that another node has fetched during a slow fetch here is not replaced by an older
// one.
func TestSharedPolicyDuringASlowFetch(t *testing.T) {
	for name, known := range map[string]bool{"unknown before": false, "known before": true} {
		t.Run(name, func(t *testing.T) {
			withTwoNodes(t, func(t *testing.T, w *world, _ *hub, a, b *Resolver) {
				if known {
					w.publish("a.example", "0", policyText("none", "864000"))
					expect(t, a, "a.example", "none/0")
					expect(t, b, "a.example", "none/0")
					time.Sleep(time.Hour)
				}
				w.publish("a.example", "1", "")
				w.setHost("a.example", hostAnswer{text: policyText("testing", "864000"), delay: 30 * time.Second})
				go b.Resolve(t.Context(), hop(t, "a.example"))
				time.Sleep(5 * time.Second)
				w.publish("a.example", "2", policyText("enforce", "864000"))
				expect(t, a, "a.example", "enforce/2")
				synctest.Wait()
				expectKnown(t, b, "a.example", "enforce/2")
				time.Sleep(40 * time.Second)
				expectKnown(t, b, "a.example", "enforce/2")
				expectKnown(t, a, "a.example", "enforce/2")
			})
		})
	}
}

// A policy that two nodes fetch at the same time is each one's own: a step of the clock does not
// end it.
func TestSharedPolicyFetchedByBoth(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, _, _ *Resolver) {
		w.machine = clocktest.NewMachine(time.Now, "boot of both", time.Hour)
		h.Wall = w.machine.Wall
		a, b := w.join(h), w.join(h)
		w.publish("a.example", "1", "")
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 100 * time.Millisecond})
		go b.Resolve(t.Context(), hop(t, "a.example"))
		time.Sleep(50 * time.Millisecond)
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		expect(t, a, "a.example", "enforce/1")
		time.Sleep(time.Minute)
		w.setTXT("a.example", txtAnswer{err: errServfail})
		w.setHost("a.example", hostAnswer{err: errRefused})
		w.machine.SetWall(12 * day)
		time.Sleep(10 * time.Second)
		expect(t, b, "a.example", "enforce/1")
	})
}

// evicting is a shared store whose Get lets memory evict the domain's policy.
type evicting struct {
	SharedStore
	evict func()
}

func (s evicting) Get(ctx context.Context, d mtasts.Domain) shared.Value {
	s.evict()
	return s.SharedStore.Get(ctx, d)
}

// A recheck asks for the record also if the policy is evicted while the shared store is asked.
func TestSharedRecheckOfAnEvictedPolicy(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, _, _ *Resolver) {
		for _, d := range []string{"a.example", "b.example"} {
			w.publish(d, "1", policyText("enforce", "864000"))
		}
		var r *Resolver
		b := hop(t, "b.example").Domain
		r = w.resolverIn(evicting{h.Join(), func() { r.policies.Get(b) }}, w.memory())
		s := *r.settings.Load()
		s.Entries = 1
		r.Configure(s)
		for _, d := range []string{"b.example", "a.example"} {
			expect(t, r, d, "enforce/1")
		}
		time.Sleep(10 * time.Minute)
		w.publish("a.example", "2", policyText("enforce", "864000"))
		expect(t, r, "a.example", "enforce/2")
	})
}

// A policy that is fetched twice in a second is shared twice: its text may have changed.
func TestSecondFetchInASecondIsShared(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, _ *hub, a, b *Resolver) {
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		w.publish("a.example", "1", policyText("testing", "864000"))
		if err := a.Refresh(t.Context(), hop(t, "a.example").Domain); err != nil {
			t.Fatal(err)
		}
		expectKnown(t, a, "a.example", "testing/1")
		expect(t, b, "a.example", "testing/1")
	})
}

// A policy that was fetched while the domain published one with max_age 0 does not outlive that
// at one node.
func TestWithdrawnDuringASlowFetch(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, _ *hub, a, b *Resolver) {
		w.publish("a.example", "1", "")
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 20 * time.Second})
		go b.Resolve(t.Context(), hop(t, "a.example"))
		time.Sleep(5 * time.Second)
		w.setHost("a.example", hostAnswer{text: policyText("none", "0"), delay: 30 * time.Second})
		go a.Resolve(t.Context(), hop(t, "a.example"))
		time.Sleep(40 * time.Second)
		synctest.Wait()
		expectKnown(t, b, "a.example", "")
	})
}

// A fetch for a new id that fails is not made again at once if another node's policy of the id
// before arrives meanwhile.
func TestSharedPolicyDuringAFetchThatFails(t *testing.T) {
	withTwoNodes(t, func(t *testing.T, w *world, h *hub, a, b *Resolver) {
		announce := func(id string) {
			w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=" + id + ";"}, ttl: time.Minute})
		}
		w.publish("a.example", "1", policyText("enforce", "864000"))
		expect(t, a, "a.example", "enforce/1")
		expect(t, b, "a.example", "enforce/1")
		time.Sleep(time.Hour)
		announce("2")
		w.setHost("a.example", hostAnswer{err: errRefused, delay: 10 * time.Second})
		expect(t, b, "a.example", "enforce/1")
		w.publish("a.example", "1", policyText("enforce", "864000"))
		announce("1")
		if err := a.Refresh(t.Context(), hop(t, "a.example").Domain); err != nil {
			t.Error(err)
		}
		announce("2")
		w.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(2 * time.Minute)
		w.expectWithoutFetch(b, "a.example", "enforce/1")
	})
}
