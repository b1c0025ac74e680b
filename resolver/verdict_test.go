package resolver

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/shared/sharedtest"
	"mta-sts-daemon/resolver/store"
)

// checker is DANE for every next hop of a test.
type checker struct {
	verdict dane.Verdict
	err     error
	delay   time.Duration
	checks  atomic.Int32
}

func (c *checker) Check(ctx context.Context, _ mtasts.Domain, _ bool, _ uint16) (dane.Verdict, error) {
	c.checks.Add(1)
	if err := pass(ctx, c.delay); err != nil {
		return dane.Verdict{}, err
	}
	return c.verdict, c.err
}

// resolverWithDANE is resolverWith, and c speaks for DANE.
func (w *world) resolverWithDANE(st *store.Store, c *checker) *Resolver {
	r := w.resolverWith(st)
	setDANE(r, c)
	return r
}

// setDANE makes c speak for DANE; checks under way go on with the one before.
func setDANE(r *Resolver, c *checker) {
	s := *r.settings.Load()
	s.DANE = c
	r.Configure(s)
}

// lookUpDANE performs a lookup as a handler does.
func lookUpDANE(t *testing.T, r *Resolver, h NextHop) (kind dane.Kind, took time.Duration, err error) {
	t.Helper()
	start := time.Now()
	a, ok := r.Cached(h, time.Now())
	if !ok {
		a, err = r.Resolve(t.Context(), h)
	}
	return a.DANE, time.Since(start), err
}

func expectDANE(t *testing.T, r *Resolver, domain string, want dane.Kind, wantTook time.Duration) {
	t.Helper()
	kind, took, err := lookUpDANE(t, r, hop(t, domain))
	if err != nil || kind != want || took != wantTook {
		t.Errorf("%s: %v after %v, %v; want %v after %v", domain, kind, took, err, want, wantTook)
	}
}

// The check runs beside the discovery, and once however many ask.
func TestDANEBesideDiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 3 * time.Second})
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}, delay: 4 * time.Second}
		r := w.resolverWithDANE(w.memory(), c)
		for range 50 {
			go expectDANE(t, r, "a.example", dane.Full, 4*time.Second)
		}
		time.Sleep(time.Minute)
		expectDANE(t, r, "a.example", dane.Full, 0)
		if n := c.checks.Load(); n != 1 {
			t.Errorf("%d checks, want 1", n)
		}
		w.expectAsked("a.example", 1, 1)
		expect(t, r, "a.example", "enforce/1")
	})
}

// What DANE said in time holds, however long the policy host is waited for.
func TestDANEBesideASilentPolicyHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}, delay: time.Second}
		r := w.resolverWithDANE(w.memory(), c)
		for i := range 20 { // one in a million passes by chance
			domain := fmt.Sprintf("d%d.example", i)
			w.publish(domain, "1", "")
			w.setHost(domain, hostAnswer{delay: time.Hour})
			expectDANE(t, r, domain, dane.Full, 8*time.Second)
		}
	})
}

// STS is cached by domain, DANE by next hop.
func TestDANEByNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &checker{verdict: dane.Verdict{Kind: dane.None, TTL: time.Hour}}
		r := w.resolverWithDANE(w.memory(), c)
		d := hop(t, "a.example").Domain
		for range 2 {
			for _, h := range []NextHop{
				{Domain: d, MX: true, Port: 25}, {Domain: d, MX: true, Port: 587},
				{Domain: d, Port: 25}, {Domain: d, Port: 587},
			} {
				if _, _, err := lookUpDANE(t, r, h); err != nil {
					t.Error(err)
				}
			}
		}
		if n := c.checks.Load(); n != 4 {
			t.Errorf("%d checks, want 4", n)
		}
		w.expectAsked("a.example", 1, 0)
		if _, _, err := lookUpDANE(t, r, NextHop{Domain: d, MX: true}); err != nil || c.checks.Load() != 4 {
			t.Errorf("a port that is not known: %v, %d checks", err, c.checks.Load())
		}
	})
}

func TestDANECannotBeKnown(t *testing.T) {
	for _, tc := range []struct {
		name string
		c    *checker
		took time.Duration
	}{
		{"fails", &checker{err: errServfail, delay: time.Second}, time.Second},
		{"takes too long", &checker{delay: 20 * time.Second, verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}, 8 * time.Second},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				r := w.resolverWithDANE(w.memory(), tc.c)
				_, took, err := lookUpDANE(t, r, hop(t, "a.example"))
				if !errors.Is(err, ErrDANEUnknown) || took != tc.took {
					t.Errorf("%v after %v", err, took)
				}
				time.Sleep(20 * time.Second) // the check that goes on behind is found by the next lookup
				if tc.c.err == nil {
					expectDANE(t, r, "a.example", dane.Full, 0)
				}
			})
		})
	}
}

func TestVerdictIsRenewedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: 10 * time.Minute}}
		r := w.resolverWithDANE(w.memory(), c)
		expectDANE(t, r, "a.example", dane.Full, 0)
		c.delay, c.verdict.Kind = 5*time.Second, dane.None
		time.Sleep(8*time.Minute - time.Second)
		expectDANE(t, r, "a.example", dane.Full, 0)
		if n := c.checks.Load(); n != 1 {
			t.Errorf("%d checks before 80 %% of its life", n)
		}
		time.Sleep(time.Second)
		for range 5 {
			expectDANE(t, r, "a.example", dane.Full, 0) // the check goes on behind
		}
		time.Sleep(5 * time.Second)
		synctest.Wait()
		expectDANE(t, r, "a.example", dane.None, 0)
		if n := c.checks.Load(); n != 2 {
			t.Errorf("%d checks, want 2", n)
		}
	})
}

// When it is due and cannot be looked up, the last verdict holds for a day.
func TestVerdictIsHeldOverAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "8640000"))
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
		st := w.memory()
		r := w.resolverWithDANE(st, c)
		expectDANE(t, r, "a.example", dane.Full, 0)

		c.err, c.delay = errServfail, 5*time.Second
		time.Sleep(2 * time.Hour)
		expectDANE(t, r, "a.example", dane.Full, 500*time.Millisecond) // recheck_wait
		expectDANE(t, r, "a.example", dane.Full, 0)                    // the others do not wait

		// The next process knows it too, from the policy's entry.
		r.Close()
		r = w.resolverWithDANE(st, c)
		expectDANE(t, r, "a.example", dane.Full, 500*time.Millisecond)

		time.Sleep(22*time.Hour + 59*time.Minute)
		expectDANE(t, r, "a.example", dane.Full, 500*time.Millisecond)
		time.Sleep(2 * time.Minute)
		if _, took, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) {
			t.Errorf("a day after its end: %v after %v", err, took)
		}
		c.err = nil
		time.Sleep(10 * time.Minute)
		expectDANE(t, r, "a.example", dane.Full, 5*time.Second)
	})
}

// The same if the MX hosts are known and the TLSA records could not be looked up.
// If the next hop had no verdict before, the result is a verdict.
func TestVerdictIsHeldWhereHostsCannotBeKnown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &checker{verdict: dane.Verdict{Kind: dane.None, TTL: time.Hour}}
		r := w.resolverWithDANE(w.memory(), c)
		expectDANE(t, r, "a.example", dane.None, 0)

		c.verdict = dane.Verdict{Kind: dane.Unknown, TTL: time.Minute}
		for range 24 {
			time.Sleep(time.Hour)
			expectDANE(t, r, "a.example", dane.None, 0)
			expectDANE(t, r, "b.example", dane.Unknown, 0)
		}
		time.Sleep(time.Hour + time.Second)
		expectDANE(t, r, "a.example", dane.Unknown, 0)
		c.verdict.Kind = dane.Full
		time.Sleep(time.Minute)
		expectDANE(t, r, "a.example", dane.Full, 0)
	})
}

// A lookup that would get a TEMP waits as long for a better verdict as for a first one.
func TestUnknownIsWaitedFor(t *testing.T) {
	for mode, want := range map[string]struct {
		kind dane.Kind
		took time.Duration
	}{
		"enforce": {dane.Full, 2 * time.Second},
		"testing": {dane.Unknown, 500 * time.Millisecond},
	} {
		t.Run(mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText(mode, "8640000"))
				c := &checker{verdict: dane.Verdict{Kind: dane.Unknown, TTL: time.Minute}}
				r := w.resolverWithDANE(w.memory(), c)
				expectDANE(t, r, "a.example", dane.Unknown, 0)
				c.verdict, c.delay = dane.Verdict{Kind: dane.Full, TTL: time.Hour}, 2*time.Second
				time.Sleep(2 * time.Minute)
				expectDANE(t, r, "a.example", want.kind, want.took)
			})
		})
	}
}

// A verdict that memory has evicted holds like any other, next to a policy that is still there.
func TestEvictedVerdictHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "8640000"))
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
		r := w.resolverWithDANE(w.memory(), c)
		expectDANE(t, r, "a.example", dane.Full, 0)
		for i := range r.settings.Load().verdictRoom() {
			lookUpDANE(t, r, hop(t, fmt.Sprintf("none%d.example", i)))
		}
		if r.verdicts.Has(hop(t, "a.example")) || r.policies.Live(hop(t, "a.example").Domain, r.clock.Now()) == nil {
			t.Fatal("the verdict is in memory, or the policy is not")
		}
		c.err = errServfail
		time.Sleep(90 * time.Minute)
		expectDANE(t, r, "a.example", dane.Full, 0)
	})
}

// The same if it is evicted during a check that finds nothing.
func TestVerdictEvictedDuringACheckHolds(t *testing.T) {
	for name, failing := range map[string]func(delay time.Duration) *checker{
		"no answer": func(delay time.Duration) *checker { return &checker{err: errServfail, delay: delay} },
		"some hosts": func(delay time.Duration) *checker {
			return &checker{verdict: dane.Verdict{Kind: dane.Unknown, TTL: time.Minute}, delay: delay}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "8640000"))
				full := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
				r := w.resolverWithDANE(w.memory(), full)
				expectDANE(t, r, "a.example", dane.Full, 0)
				time.Sleep(90 * time.Minute)
				setDANE(r, failing(20*time.Second))
				expectDANE(t, r, "a.example", dane.Full, 500*time.Millisecond)
				setDANE(r, full)
				for i := range r.settings.Load().verdictRoom() {
					lookUpDANE(t, r, hop(t, fmt.Sprintf("none%d.example", i)))
				}
				setDANE(r, failing(0))
				time.Sleep(40 * time.Second)
				expectDANE(t, r, "a.example", dane.Full, 0)
			})
		})
	}
}

// A purge of everything that was carried out long ago comes again with each start of a node. It
// takes no verdict away.
func TestOldPurgeLeavesVerdicts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := sharedtest.NewStore()
		st := w.memory()
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
		start := func() (*Resolver, *sharedtest.Node) {
			n := h.Join()
			n.Purges = st
			r := w.resolverIn(n, st)
			setDANE(r, c)
			return r, n
		}
		r, n := start()
		if _, err := r.PurgeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.publish("a.example", "1", policyText("enforce", "8640000"))
		expectDANE(t, r, "a.example", dane.Full, 0)
		r.Close()
		n.Leave()
		time.Sleep(2 * time.Hour)

		c.err = errServfail
		r, n = start()
		expectDANE(t, r, "a.example", dane.Full, 0)
		h.Set(func(h *sharedtest.Store) { h.Repeat(n) })
		time.Sleep(time.Minute)
		expectDANE(t, r, "a.example", dane.Full, 0)
	})
}

// The message of a node's own purge of everything, which may come late, takes away nothing that
// was found since.
func TestLateMessageOfAPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		h := sharedtest.NewStore()
		c := &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
		st := w.memory()
		n := h.Join()
		n.Purges = st
		r := w.resolverIn(n, st)
		s := *r.settings.Load()
		s.DANE = c
		r.Configure(s)
		h.Set(func(h *sharedtest.Store) { h.Silent = true })
		if _, err := r.PurgeAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		expectDANE(t, r, "a.example", dane.Full, 0)
		c.err = errServfail
		h.Set(func(h *sharedtest.Store) {
			h.Silent = false
			h.Notify(shared.Change{Value: shared.Value{Purged: time.Now(), Number: st.Purges()}})
		})
		synctest.Wait()
		expectDANE(t, r, "a.example", dane.Full, 0)
	})
}
