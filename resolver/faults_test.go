package resolver

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/store"
)

// The first discovery stores the policy and the LRU evicts it; a second
// discovery, whose lookup had found no state before that, gets the answer that
// there is no record.
func TestNoAbsenceOverALivePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		d := hop(t, "a.example")
		w.publish("a.example", "1", policyText("enforce", "864000"))
		known := r.policies.Get(d.Domain) // the second lookup finds no state
		expect(t, r, "a.example", "enforce/1")
		evictAll(t, w, r)
		w.setTXT("a.example", txtAnswer{})
		if a, err := r.resolveSTS(t.Context(), d, known, r.clock.Now()); err != nil || a.Policy == nil {
			t.Errorf("the second lookup: %+v, %v", a, err)
		}
		for range 2 {
			expect(t, r, "a.example", "enforce/1")
			time.Sleep(2 * time.Minute)
		}
	})
}

// The same as it was seen: few entries, many lookups of the same domains at once.
func TestLookupsAtOnceWithASmallLRU(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		const domains = 100
		name := func(i int) string { return fmt.Sprintf("d%d.example", i%domains) }
		for i := range domains {
			w.publish(name(i), "1", policyText("enforce", "864000"))
		}
		var herd sync.WaitGroup
		for i := range 20 * domains {
			herd.Go(func() { expect(t, r, name(i), "enforce/1") })
		}
		herd.Wait()
		for i := range domains { // from now on nobody has a record
			w.setTXT(name(i), txtAnswer{})
			w.setHost(name(i), hostAnswer{err: errRefused})
		}
		for i := range 20 * domains {
			herd.Go(func() { expect(t, r, name(i), "enforce/1") })
		}
		herd.Wait()
	})
}

// A refresh that is refused for load until the policy ends.
func TestRefusedRefreshIsReported(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "172800")) // two days
		expect(t, m.r, "a.example", "enforce/1")
		m.setHost("a.example", hostAnswer{err: errHostBusy})
		keepInUse(t, m.r, "a.example", "enforce/1", 40*time.Hour) // due after a day, failing half a day later
		m.expectLogged("cannot be refreshed", 1)
		m.expectMetric(refreshFailing, count(1))
		m.restart()
		m.expectMetric(refreshFailing, count(1))
		m.expectMetric(expiring, map[string]float64{"24h": 1, "48h": 1})
		m.expectLogged("Policy expired", 0)
		time.Sleep(9 * time.Hour)
		m.expectLogged("Policy expired", 1) // though nobody asked
		expect(t, m.r, "a.example", "-")
		time.Sleep(time.Hour)
		m.expectLogged("Policy expired", 1)
		m.expectLogged("cannot be refreshed", 1)
	})
}

// A short overload is not a failure.
func TestRefusedForAWhileIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errHostBusy})
		keepInUse(t, r, "a.example", "enforce/1", 27*time.Hour)
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		keepInUse(t, r, "a.example", "enforce/1", 12*day)
		w.expectLogged("cannot be refreshed", 0)
	})
}

// Thousands of failing domains delay no healthy one.
func TestFailingDomainsDelayNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failing, healthy = 200, 20
		w := newWorld(t)
		r := w.resolver()
		s := *r.settings.Load()
		s.Entries = failing + healthy
		r.Configure(s)
		bad := func(i int) string { return fmt.Sprintf("bad%d.example", i) }
		well := func(i int) string { return fmt.Sprintf("well%d.example", i) }
		for i := range failing {
			w.publish(bad(i), "1", policyText("enforce", "864000"))
			expect(t, r, bad(i), "enforce/1")
			w.setHost(bad(i), hostAnswer{err: errRefused, delay: time.Minute})
		}
		time.Sleep(30 * time.Hour) // all of them fail
		for i := range healthy {
			w.publish(well(i), "1", policyText("enforce", "3600")) // due every half an hour
			expect(t, r, well(i), "enforce/1")
		}
		for range 50 {
			time.Sleep(6 * time.Minute)
			for i := range healthy {
				k, _ := r.Known(hop(t, well(i)).Domain)
				if late := time.Since(k.Fetched); late > 35*time.Minute {
					t.Fatalf("%s was fetched %v ago", well(i), late)
				}
				expect(t, r, well(i), "enforce/1")
			}
		}
	})
}

// A policy of 90 s is fetched by the lookup after its end.
func TestShortPolicyIsNotRefreshedAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "90"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(2 * time.Hour)
		w.expectAsked("a.example", 1, 1)
		expect(t, r, "a.example", "enforce/1")
		w.expectAsked("a.example", 2, 2)
		w.expectLogged("Policy expired", 0)
	})
}

// A purge is not undone by a fetch that began before it.
func TestPurgeDuringAFetch(t *testing.T) {
	for name, tc := range map[string]struct {
		purge func(*testing.T, *Resolver) error
		kept  string // the policy that is known afterwards
	}{
		"of the domain": {func(t *testing.T, r *Resolver) error { return r.Purge(t.Context(), hop(t, "a.example").Domain) }, ""},
		"of another":    {func(t *testing.T, r *Resolver) error { return r.Purge(t.Context(), hop(t, "b.example").Domain) }, "enforce/1"},
		"of everything": {func(t *testing.T, r *Resolver) error { _, err := r.PurgeAll(t.Context()); return err }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 2 * time.Second})
				r := w.resolver()
				go func() { // the lookup that waits gets it
					if got, _ := lookUp(t, r, "a.example"); !strings.HasPrefix(got, "enforce/") {
						t.Errorf("answer %s", got)
					}
				}()
				time.Sleep(time.Second)
				if err := tc.purge(t, r); err != nil {
					t.Error(err)
				}
				time.Sleep(2 * time.Second)
				expectKnown(t, r, "a.example", tc.kept)
			})
		})
	}
}

// Name servers that differ give two ids in turn. Each is fetched once in five minutes at most
// while its policy host fails.
func TestTwoIDsInTurn(t *testing.T) {
	for name, tc := range map[string]struct {
		known bool
		ids   [2]string
	}{
		"none":                 {false, [2]string{"2", "1"}},
		"that of the policy":   {true, [2]string{"2", "1"}},
		"policy of a third id": {true, [2]string{"2", "3"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.setHost("a.example", hostAnswer{text: policyText("enforce", "8640000")})
				record := func(id string) {
					w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=" + id + ";"}, ttl: time.Minute})
				}
				record("1")
				r := w.resolver()
				if tc.known {
					expect(t, r, "a.example", "enforce/1")
				}
				w.setHost("a.example", hostAnswer{err: errRefused})
				_, before := w.asked("a.example")
				for i := range 30 {
					time.Sleep(time.Minute + time.Second)
					record(tc.ids[i%2])
					lookUp(t, r, "a.example")
					time.Sleep(time.Second) // a recheck may be behind its answer
				}
				if _, after := w.asked("a.example"); after-before > 2*7 {
					t.Errorf("%d fetches in 31 minutes", after-before)
				}
			})
		})
	}
}

// The text under a new id may come after the id, whatever mode the old text has: it is followed
// up, also after a restart.
func TestFollowUpOfModeNone(t *testing.T) {
	for name, restart := range map[string]bool{"same process": false, "restart": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("none", "31557600"))
				st := w.memory()
				r := w.resolverWith(st)
				expect(t, r, "a.example", "none/1")
				time.Sleep(time.Hour)
				w.publish("a.example", "2", policyText("none", "31557600"))
				expect(t, r, "a.example", "none/2")
				time.Sleep(2 * time.Minute)
				if restart {
					r.Close()
					r = w.resolverWith(st)
				}
				w.publish("a.example", "2", policyText("enforce", "31557600"))
				time.Sleep(10 * time.Minute)
				expect(t, r, "a.example", "enforce/2")
			})
		})
	}
}

// The last failure of a domain is kept, with a policy and without one.
func TestFailureIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		start := time.Now()
		certificate := &policyhost.FetchError{Host: "mta-sts.a.example", Result: policyhost.ResultWebPKIInvalid, Err: errors.New("expired")}
		for domain, tc := range map[string]struct {
			txt   txtAnswer
			host  hostAnswer
			state string
			word  string
		}{
			"cert.example":    {txtAnswer{records: []string{"v=STSv1; id=1"}}, hostAnswer{err: certificate}, "broken", "sts-webpki-invalid"},
			"invalid.test":    {txtAnswer{records: []string{"v=STSv1; id=1"}}, hostAnswer{text: "<html>"}, "broken", "sts-policy-invalid"},
			"two.example":     {txtAnswer{records: []string{"v=STSv1; id=1", "v=STSv1; id=2"}}, hostAnswer{}, "broken", "sts-policy-invalid"},
			"absent.example":  {txtAnswer{}, hostAnswer{}, "absent", ""},
			"dnsfail.example": {txtAnswer{err: errServfail}, hostAnswer{}, "unknown", ""},
		} {
			w.setTXT(domain, tc.txt)
			w.setHost(domain, tc.host)
			for range 3 {
				expect(t, r, domain, "-")
			}
			k, _ := r.Known(hop(t, domain).Domain)
			if string(k.State) != tc.state {
				t.Errorf("%s is %s, want %s", domain, k.State, tc.state)
			}
			if f := k.Failure; tc.word == "" != (f == nil) || f != nil && (f.Word != tc.word || f.Reason == "" || f.Lookups != 3 || !f.Since.Equal(start)) {
				t.Errorf("%s: %+v", domain, f)
			}
		}
	})
}

// A domain that gave MTA-STS up while the file
// is full keeps no old policy.
func TestSuccessorWhileTheStoreIsFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolverWith(st)
		expect(t, r, "a.example", "enforce/1")
		fill(t, w, st)
		w.publish("a.example", "2", policyText("none", "864000"))
		time.Sleep(5 * time.Minute)
		expect(t, r, "a.example", "none/2")
		r.Close()
		r = w.resolverWith(st)
		w.setTXT("a.example", txtAnswer{err: errServfail})
		if mode, _ := lookUp(t, r, "a.example"); strings.HasPrefix(mode, "enforce") {
			t.Errorf("the old policy has come back: %s", mode)
		}
	})
}

// fill leaves no room in a store.
func fill(t *testing.T, w *world, st *store.Store) {
	t.Helper()
	p, err := mtasts.ParsePolicy(policyText("enforce", "864000") + "x: " + strings.Repeat("y", 60<<10) + "\n")
	if err != nil {
		t.Fatal(err)
	}
	now := w.moment(time.Now())
	var last mtasts.Domain
	for i := range 2000 {
		d := hop(t, fmt.Sprintf("full%d.example", i)).Domain
		last = d
		st.Put(store.Entry{Domain: d, ID: "1", Policy: p, Fetched: store.Fetched{Wall: time.Now()}, Used: now, Next: now.Add(9 * day)})
	}
	if _, ok := st.Get(last); ok {
		t.Fatal("the store is not full")
	}
	small := store.Entry{ID: "1", Fetched: store.Fetched{Wall: time.Now()}, Used: now, Next: now.Add(9 * day)}
	small.Policy, _ = mtasts.ParsePolicy(policyText("enforce", "864000"))
	for i := range 2000 { // nor room for a small one
		small.Domain = hop(t, fmt.Sprintf("small%d.example", i)).Domain
		st.Put(small)
	}
}
