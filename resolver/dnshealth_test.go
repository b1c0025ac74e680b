package resolver

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
)

// A resolver that is away for a moment. The lookup waits for its
// return and has the policy.
func TestResolverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.publish("b.example", "1", policyText("enforce", "864000"))
		good := w.txt["a.example"]
		w.away(true, "a.example", "b.example")
		r := w.resolver()
		go func() {
			time.Sleep(1500 * time.Millisecond)
			w.away(false)
			w.setTXT("a.example", good)
			w.setTXT("b.example", good)
		}()
		if mode, took := lookUp(t, r, "a.example"); mode != "enforce/1" || took > 3*time.Second {
			t.Errorf("%s after %v", mode, took)
		}
		expect(t, r, "b.example", "enforce/1")
	})
}

// away has nobody answer, neither probes nor questions for the domains, or probes again.
func (w *world) away(away bool, domains ...string) {
	w.mu.Lock()
	w.down = away
	w.mu.Unlock()
	for _, d := range domains {
		w.setTXT(d, txtAnswer{err: errServfail})
	}
}

// The same if it goes away after it has answered for the record: then the policy host has no
// address for a moment.
func TestResolverRestartsDuringAFetch(t *testing.T) {
	for name, tc := range map[string]struct {
		away time.Duration
		want string
	}{
		"a moment": {1500 * time.Millisecond, "enforce/1"},
		"long":     {20 * time.Second, "-"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.publish("a.example", "1", policyText("enforce", "864000"))
				w.setHost("a.example", hostAnswer{err: errNoAddress, delay: 2 * time.Millisecond})
				r := w.resolver()
				go func() {
					time.Sleep(time.Millisecond)
					w.away(true, "a.example")
					time.Sleep(tc.away)
					w.publish("a.example", "1", policyText("enforce", "864000"))
					w.away(false)
				}()
				if mode, took := lookUp(t, r, "a.example"); mode != tc.want || took > min(8*time.Second, tc.away+time.Second) {
					t.Errorf("%s after %v, want %s", mode, took, tc.want)
				}
				time.Sleep(time.Second)
				if mode, took := lookUp(t, r, "a.example"); mode != tc.want || took > 0 {
					t.Errorf("then %s after %v, want %s at once", mode, took, tc.want)
				}
				time.Sleep(max(0, tc.away-8*time.Second) + time.Second)
				expect(t, r, "a.example", "enforce/1")
			})
		})
	}
}

// The same if it goes away during a check of DANE, whose MX records it has answered for: that is
// no answer of the DNS at the end of the check, for this domain or for others.
func TestResolverRestartsDuringACheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for _, d := range []string{"a.example", "b.example"} {
			w.publish(d, "1", policyText("enforce", "864000"))
		}
		good := w.txt["b.example"]
		c := &checker{verdict: dane.Verdict{Kind: dane.Unknown, Incomplete: true, TTL: time.Minute, Failed: errServfail}, delay: 5 * time.Second}
		r := w.resolverWithDANE(w.memory(), c)
		lookups := make(chan dane.Kind)
		go func() {
			a, err := r.Resolve(t.Context(), hop(t, "a.example"))
			if err != nil || a.Policy == nil {
				t.Errorf("a.example: %+v, %v", a, err)
			}
			lookups <- a.DANE
		}()
		time.Sleep(time.Second)
		w.away(true)
		w.setTXT("b.example", txtAnswer{err: errServfail, delay: 5 * time.Second})
		go func() {
			h := hop(t, "b.example")
			h.Port = 0 // no DANE
			a, err := r.Resolve(t.Context(), h)
			if err != nil || a.Policy == nil {
				t.Errorf("b.example: %+v, %v", a, err)
			}
			lookups <- a.DANE
		}()
		time.Sleep(5500 * time.Millisecond)
		synctest.Wait() // until the check waits for the resolver
		c.verdict, c.delay = dane.Verdict{Kind: dane.Full, TTL: time.Hour}, 0
		w.away(false)
		w.setTXT("b.example", good)
		for range 2 {
			if kind := <-lookups; kind == dane.Unknown {
				t.Error("DANE is unknown")
			}
		}
	})
}

// A longer outage: one probe a second whatever is looked up; each lookup waits once; at the
// return each domain is asked for at its next lookup.
func TestResolverIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var names []string
		for i := range 20 {
			names = append(names, fmt.Sprintf("d%d.example", i))
		}
		r := w.resolver()
		s := *r.settings.Load()
		s.NegativeEntries = 1000
		r.Configure(s)
		w.away(true, names...)
		for _, d := range names {
			go expect(t, r, d, "-")
		}
		time.Sleep(10 * time.Second)
		for _, d := range names {
			if mode, took := lookUp(t, r, d); mode != "-" || took != 0 {
				t.Errorf("%s: %s after %v, want no policy at once", d, mode, took)
			}
		}
		before := w.questions()
		time.Sleep(100 * time.Second)
		if n := w.questions() - before; n < 95 || n > 105 {
			t.Errorf("%d questions in 100 s, want one a second", n)
		}
		w.away(false)
		for _, d := range names {
			w.publish(d, "1", policyText("enforce", "864000"))
		}
		time.Sleep(2 * time.Second)
		for _, d := range names {
			expect(t, r, d, "enforce/1")
		}
	})
}

// questions returns how many questions and probes there were.
func (w *world) questions() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := w.probes
	for _, queries := range w.queries {
		n += queries
	}
	return n
}

// A domain whose whole DNS is silent, while others are answered, makes a lookup wait at 30 s
// doubling to 10 min, and not each time.
func TestSilentDomain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.setTXT("silent.example", txtAnswer{err: errServfail, delay: 5 * time.Second})
		r := w.resolver()
		waited := 0
		for range 60 * 60 / 5 {
			if _, took := lookUp(t, r, "silent.example"); took > 0 {
				waited++
			}
			time.Sleep(5 * time.Second)
		}
		// After 30 s, 1, 2, 4, 8 min, and then every ten.
		if waited < 9 || waited > 11 {
			t.Errorf("%d lookups waited in an hour", waited)
		}
	})
}

// Three domains in a row that fail are an outage also if the root is answered, from a cache.
// A healthy domain that is looked up then is not kept waiting.
func TestResolverWithoutUplink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		broken := []string{"a.example", "b.example", "c.example"}
		for _, d := range broken {
			w.setTXT(d, txtAnswer{err: errServfail})
			lookUp(t, r, d)
		}
		time.Sleep(10 * time.Second)
		w.publish("well.example", "1", policyText("enforce", "864000"))
		if mode, took := lookUp(t, r, "well.example"); mode != "enforce/1" || took > 2*time.Second {
			t.Errorf("%s after %v", mode, took)
		}
		for _, d := range broken { // the uplink is back: the first two failed for themselves
			w.publish(d, "1", policyText("enforce", "864000"))
		}
		expect(t, r, "c.example", "enforce/1")
		time.Sleep(time.Minute)
		expect(t, r, "a.example", "enforce/1")
	})
}

// Domains with silent name servers, looked up one after the other, stop no refresh although
// nobody looks up another unknown domain.
func TestSilentDomainsStopNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("well.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "well.example", "enforce/1")
		for _, d := range []string{"a.example", "b.example", "c.example"} {
			w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
			lookUp(t, r, d)
		}
		time.Sleep(27 * time.Hour)
		w.expectAsked("well.example", 3, 2) // a probe asks too
	})
}

// The same with DANE: TEMP while no server answers, then the verdict.
func TestDANEWhileTheResolverIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		good := w.txt["a.example"]
		w.away(true, "a.example")
		c := &checker{err: errServfail}
		r := w.resolverWithDANE(w.memory(), c)
		if _, took, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) || took > 8*time.Second {
			t.Errorf("%v after %v", err, took)
		}
		synctest.Wait() // the check ends at the same instant as the lookup
		if _, took, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) || took != 0 {
			t.Errorf("%v after %v, want TEMP at once", err, took)
		}
		w.away(false)
		w.setTXT("a.example", good)
		c.err, c.verdict = nil, dane.Verdict{Kind: dane.None, TTL: time.Hour}
		time.Sleep(2 * time.Second)
		if kind, _, err := lookUpDANE(t, r, hop(t, "a.example")); err != nil || kind != dane.None {
			t.Errorf("%v, %v", kind, err)
		}
		expect(t, r, "a.example", "enforce/1")
	})
}

// DANE is known of a domain whose record alone is silent, also if other records failed before and
// nothing else was answered since.
func TestDANEWhileRecordsAreSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		for _, d := range []string{"a.example", "b.example", "c.example", "d.example"} {
			w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
			if d != "d.example" {
				lookUp(t, r, d)
			}
		}
		if r.dns.outage() == nil {
			t.Fatal("three records that fail are no outage")
		}
		s := *r.settings.Load()
		s.DANE = &checker{verdict: dane.Verdict{Kind: dane.Full, TTL: time.Hour}}
		r.Configure(s)
		if kind, took, err := lookUpDANE(t, r, hop(t, "d.example")); err != nil || kind != dane.Full {
			t.Errorf("%v after %v, %v", kind, took, err)
		}
	})
}

// A lookup whose policy is purged while it waits for the recheck discovers the domain again.
func TestPurgeUnderALookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(2 * time.Hour)
		slow := w.txt["a.example"]
		slow.delay = 100 * time.Millisecond
		w.setTXT("a.example", slow)
		time.AfterFunc(50*time.Millisecond, func() { r.Purge(t.Context(), hop(t, "a.example").Domain) })
		expect(t, r, "a.example", "enforce/1")
		w.expectAsked("a.example", 3, 2)
	})
}

// A lookup that begins after a purge gets nothing from before it, although it joins a recheck
// that was under way.
func TestPurgeDuringARecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(2 * time.Hour)
		w.setTXT("a.example", txtAnswer{err: errServfail, delay: 5 * time.Second})
		lookUp(t, r, "a.example")
		if err := r.Purge(t.Context(), hop(t, "a.example").Domain); err != nil {
			t.Fatal(err)
		}
		expect(t, r, "a.example", "-")
	})
}

// The end of an outage is noticed within two seconds although many domains with silent
// name servers were looked up in it: every second probe is one that any resolver answers.
func TestOutageEndsUnderAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("well.example", "1", policyText("enforce", "864000"))
		good := w.txt["well.example"]
		w.away(true, "well.example")
		r := w.resolver()
		s := *r.settings.Load()
		s.NegativeEntries = 1000
		r.Configure(s)
		var lookups sync.WaitGroup
		lookups.Go(func() { lookUp(t, r, "well.example") })
		time.Sleep(time.Second)
		for i := range 100 {
			d := fmt.Sprintf("silent-%d.example", i)
			w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
			lookups.Go(func() { lookUp(t, r, d) })
		}
		time.Sleep(10 * time.Second)
		w.away(false)
		w.setTXT("well.example", good)
		time.Sleep(2500 * time.Millisecond)
		if mode, took := lookUp(t, r, "well.example"); mode != "enforce/1" || took > 500*time.Millisecond {
			t.Errorf("%s after %v", mode, took)
		}
		lookups.Wait()
	})
}

// The same if the flood was before the outage and counts as one itself, in which the root is answered.
func TestOutageEndsAfterAFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("well.example", "1", policyText("enforce", "864000"))
		good := w.txt["well.example"]
		r := w.resolver()
		s := *r.settings.Load()
		s.NegativeEntries = 1000
		r.Configure(s)
		var lookups sync.WaitGroup
		for i := range 100 {
			d := fmt.Sprintf("silent-%d.example", i)
			w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
			lookups.Go(func() { lookUp(t, r, d) })
		}
		time.Sleep(20 * time.Second)
		w.away(true, "well.example")
		time.Sleep(10 * time.Second)
		w.away(false)
		w.setTXT("well.example", good)
		time.Sleep(2500 * time.Millisecond)
		if r.dns.outage() != nil {
			t.Error("the end of the outage is not noticed")
		}
		lookups.Wait()
	})
}

// A flood of domains with silent name servers counts as an outage, but known domains are
// asked for in it, whose answers end it: no refresh waits for the end of the flood.
func TestSilentFloodStopsNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("well.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "well.example", "enforce/1")
		k, _ := r.Known(hop(t, "well.example").Domain)
		time.Sleep(time.Until(k.Refresh) - time.Minute)
		var lookups sync.WaitGroup
		for second := range 5 * 60 {
			for i := range 30 {
				d := fmt.Sprintf("silent-%d-%d.example", second, i)
				w.setTXT(d, txtAnswer{err: errServfail, delay: 5 * time.Second})
				lookups.Go(func() { lookUp(t, r, d) })
			}
			time.Sleep(time.Second)
		}
		if _, fetches := w.asked("well.example"); fetches != 2 {
			t.Errorf("%d fetches, want 2", fetches)
		}
		lookups.Wait()
	})
}

// Failures in an outage that has ended do not count: after the first one of its own, a next
// hop is checked again after 30 s.
func TestOutageCountsAgainstNoNextHop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &checker{err: errServfail}
		r := w.resolverWithDANE(w.memory(), c)
		setDown := func(down bool) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.down = down
		}
		setDown(true)
		w.setTXT("a.example", txtAnswer{err: errServfail})
		for range 6 { // Postfix tries again
			if _, _, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) {
				t.Fatal(err)
			}
			time.Sleep(11 * time.Minute)
		}
		setDown(false)
		w.setTXT("a.example", txtAnswer{})
		time.Sleep(5 * time.Second)
		if r.DNSFails() {
			t.Fatal("the outage has not ended")
		}
		if _, _, err := lookUpDANE(t, r, hop(t, "a.example")); !errors.Is(err, ErrDANEUnknown) {
			t.Fatal(err)
		}
		c.err, c.verdict = nil, dane.Verdict{Kind: dane.Full, TTL: time.Hour}
		time.Sleep(31 * time.Second)
		expectDANE(t, r, "a.example", dane.Full, 0)
	})
}

// Three domains whose servers are dead make an outage. A policy that is due ends it, also if its
// last refresh failed.
func TestDeadDomainsStopNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("f.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "f.example", "enforce/1")
		w.setHost("f.example", hostAnswer{err: errRefused})
		time.Sleep(30 * time.Hour)
		if r.RefreshFailing() != 1 {
			t.Fatal("its refresh has not failed")
		}
		for i := range outageDomains {
			d := fmt.Sprintf("dead%d.example", i)
			w.setTXT(d, txtAnswer{err: errServfail, delay: time.Second})
			expect(t, r, d, "-")
		}
		if !r.DNSFails() {
			t.Fatal("no outage")
		}
		w.setHost("f.example", hostAnswer{text: policyText("enforce", "864000")})
		time.Sleep(2 * time.Hour)
		if r.DNSFails() || r.RefreshFailing() > 0 {
			t.Errorf("DNS fails: %v; %d policies cannot be refreshed", r.DNSFails(), r.RefreshFailing())
		}
	})
}
