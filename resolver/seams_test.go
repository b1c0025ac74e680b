package resolver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/store"
)

// Scene 1 of issue 17: the first discovery stores the policy and the LRU evicts it; a
// second one, whose lookup found nothing before that, is told that there is no record.
func TestNoAbsenceOverALivePolicy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		d := hop(t, "a.example")
		w.publish("a.example", "1", policyText("enforce", "864000"))
		known := r.policies.Get(d.Domain) // what the second lookup found: nothing
		expect(t, r, "a.example", "enforce/1")
		evictAll(t, w, r)
		w.setTXT("a.example", txtAnswer{})
		if a, err := r.resolveSTS(t.Context(), d, known); err != nil || a.Policy == nil {
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

// Scene 4 of issue 17: what is a mismatch, and what is none.
func TestMismatch(t *testing.T) {
	hosts := func(names ...string) (records []dnsclient.MX) {
		for i, name := range names {
			records = append(records, dnsclient.MX{Host: name, Preference: uint16(i)})
		}
		return records
	}
	many := hosts()
	for i := range 40 {
		many = append(many, dnsclient.MX{Host: fmt.Sprintf("mx%d.example.net", i), Preference: uint16(i)})
	}
	for _, tc := range []struct {
		name     string
		patterns []string
		mx       []dnsclient.MX
		mismatch bool
	}{
		{"a match", []string{"mx.example"}, hosts("mx.example"), false},
		{"none", []string{"mx.example"}, hosts("other.example"), true},
		{"one of several", []string{"mx.example"}, hosts("other.example", "mx.example"), false},
		{"null MX", []string{"mx.example"}, hosts(""), false},
		{"no MX records, policy names the domain", []string{"a.example"}, nil, false},
		{"no MX records, policy names another", []string{"mx.example"}, nil, true},
		{"the fortieth", []string{"mx39.example.net"}, many, false},
		{"an underscore", []string{"*.0123.a.example"}, hosts("_dc-mx.0123.a.example"), false},
		{"a single label", []string{"mx.example"}, hosts("mx"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				text := "version: STSv1\nmode: enforce\nmx: " + strings.Join(tc.patterns, "\nmx: ") + "\nmax_age: 864000\n"
				w.publish("a.example", "1", text)
				r := w.resolver()
				s := *r.settings.Load()
				s.MX = mxRecords(tc.mx)
				r.Configure(s)
				expect(t, r, "a.example", "enforce/1")
				synctest.Wait()
				if got := r.Counts().Mismatched == 1; got != tc.mismatch {
					t.Errorf("mismatch: %v, want %v\n%s", got, tc.mismatch, &w.log)
				}
			})
		})
	}
}

type mxRecords []dnsclient.MX

func (m mxRecords) MX(context.Context, string) (dnsclient.Answer[dnsclient.MX], error) {
	return dnsclient.Answer[dnsclient.MX]{Records: m}, nil
}

// MX hosts that move after the fetch are noticed at the next recheck, and a mismatch
// outlives restarts and eviction.
func TestMismatchIsFollowed(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "8640000"))
		expect(t, m.r, "a.example", "enforce/1")
		setMX := func(host string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.mx["a.example"] = host
		}
		recheck := func(mismatched, logged, ended int) {
			t.Helper()
			time.Sleep(6 * time.Minute)
			expect(t, m.r, "a.example", "enforce/1")
			synctest.Wait()
			if n := m.r.Counts().Mismatched; n != mismatched {
				t.Errorf("%d mismatched, want %d", n, mismatched)
			}
			m.expectLogged("matches none of its domain's MX hosts", logged)
			m.expectLogged("matches an MX host again", ended)
		}
		recheck(0, 0, 0)
		setMX("other.example")
		recheck(1, 1, 0)
		for _, again := range variants {
			again(m)
			synctest.Wait()
			if n := m.r.Counts().Mismatched; n != 1 {
				t.Errorf("%d mismatched, want 1", n)
			}
			recheck(1, 1, 0)
		}
		if k, _ := m.r.Known(hop(t, "a.example").Domain); k.Mismatch.IsZero() || time.Since(k.Mismatch) < 10*time.Minute {
			t.Errorf("mismatched since %v", k.Mismatch)
		}
		setMX("mx.example")
		recheck(0, 1, 1)
	})
}

// A name that is used only as a bracketed next hop has no MX hosts to match.
func TestBracketedHopIsNoMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("mx.example", "1", "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 864000\n")
		w.mx["mx.example"] = "elsewhere.example"
		r := w.resolver()
		look := func(h NextHop) {
			t.Helper()
			if _, ok := r.Cached(h, time.Now()); ok {
				return
			}
			if a, err := r.Resolve(t.Context(), h); err != nil || a.Policy == nil {
				t.Errorf("%+v: %+v, %v", h, a, err)
			}
		}
		bracketed := hop(t, "mx.example")
		bracketed.MX = false
		for range 5 {
			look(bracketed)
			time.Sleep(6 * time.Minute)
		}
		if n := r.Counts().Mismatched; n != 0 {
			t.Errorf("%d mismatched", n)
		}
		look(hop(t, "mx.example")) // now as a domain
		synctest.Wait()
		if n := r.Counts().Mismatched; n != 1 {
			t.Errorf("%d mismatched, want 1", n)
		}
	})
}

// busy is how policyhost refuses for load.
func busyFault() error {
	return &policyhost.FetchError{Host: "mta-sts.a.example", Fault: policyhost.FaultLoad, Result: policyhost.ResultFetchError, Err: policyhost.ErrBusy}
}

// Scene 1 of issue 19: a refresh that is refused for load until the policy ends.
func TestRefusedRefreshIsReported(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "172800")) // two days
		expect(t, m.r, "a.example", "enforce/1")
		m.setHost("a.example", hostAnswer{err: busyFault()})
		keepInUse(t, m.r, "a.example", "enforce/1", 40*time.Hour) // due after a day, failing half a day later
		m.expectLogged("cannot be renewed", 1)
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
		m.expectLogged("cannot be renewed", 1)
	})
}

// Load that passes is no failure.
func TestRefusedForAWhileIsNoFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: busyFault()})
		keepInUse(t, r, "a.example", "enforce/1", 27*time.Hour)
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000")})
		keepInUse(t, r, "a.example", "enforce/1", 12*day)
		w.expectLogged("cannot be renewed", 0)
	})
}

// Scene 5 of issue 19: thousands of failing domains delay no healthy one.
func TestFailingDomainsDelayNoRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const failing, healthy = 400, 20
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
		time.Sleep(2 * day) // all of them fail
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

// Scene 7 of issue 19: a policy of 90 s is fetched by the lookup after its end.
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

// Scene 6 of issue 19: a resolver that is away for a moment. The lookup waits for its
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

// Scene 6 with DANE: TEMP while nobody answers, then what is found.
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

// Scene 9 of issue 19: faults of this host are one event and nobody's failure.
func TestPolicyHostsUnreachable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		local := func(d string) error {
			return &policyhost.FetchError{Host: "mta-sts." + d, Fault: policyhost.FaultLocal, Result: policyhost.ResultFetchError, Err: errRefused}
		}
		w := newWorld(t)
		w.publish("known.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		expect(t, r, "known.example", "enforce/1")
		for i := range 10 {
			d := fmt.Sprintf("d%d.example", i)
			w.publish(d, "1", "")
			w.setHost(d, hostAnswer{err: local(d)})
			expect(t, r, d, "-")
			k, _ := r.Known(hop(t, d).Domain)
			if k.State != "unknown" {
				t.Errorf("%s is %s", d, k.State)
			}
		}
		w.setHost("known.example", hostAnswer{err: local("known.example")})
		keepInUse(t, r, "known.example", "enforce/1", 27*time.Hour)
		w.expectLogged("No policy host can be reached", 1)
		w.expectLogged("could not be fetched", 0)
		w.expectLogged("cannot be renewed", 0)
		w.expectMetric("mta_sts_policy_hosts_unreachable", count(1))
		if r.Unreachable() == nil {
			t.Error("no finding")
		}
		w.setHost("known.example", hostAnswer{text: policyText("enforce", "864000")})
		time.Sleep(3 * time.Minute)
		w.expectLogged("Policy hosts can be reached again", 1)
		w.expectMetric("mta_sts_policy_hosts_unreachable", count(0))
	})
}

// A purge is not undone by a fetch that began before it.
func TestPurgeAllDuringAFetch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{text: policyText("enforce", "864000"), delay: 2 * time.Second})
		r := w.resolver()
		go expect(t, r, "a.example", "enforce/") // for the lookup that waits
		time.Sleep(time.Second)
		if _, err := r.PurgeAll(t.Context()); err != nil {
			t.Error(err)
		}
		time.Sleep(2 * time.Second)
		expectKnown(t, r, "a.example", "")
	})
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

// Scene 2 of issue 17, as a resolver sees it: a domain that gave MTA-STS up while the file
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

// While every policy host refuses, none is tried more often than once in five minutes.
func TestUnreachableHostsAreLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var names []string
		for i := range 12 {
			d := fmt.Sprintf("d%d.example", i)
			names = append(names, d)
			w.publish(d, "1", policyText("enforce", "864000"))
		}
		r := w.resolver()
		s := *r.settings.Load()
		s.Entries, s.NegativeEntries = 100, 100
		r.Configure(s)
		for _, d := range names[:6] {
			expect(t, r, d, "enforce/1")
		}
		for _, d := range names {
			w.setHost(d, hostAnswer{err: &policyhost.FetchError{Host: d, Result: policyhost.ResultFetchError, Err: errRefused}})
		}
		time.Sleep(28 * time.Hour) // all were due
		if r.Unreachable() == nil {
			t.Error("policy hosts count as reachable")
		}
		before := w.fetched()
		for range 60 {
			for _, d := range names {
				lookUp(t, r, d)
			}
			time.Sleep(time.Minute)
		}
		if n := w.fetched() - before; n > 13*len(names) || n < len(names) {
			t.Errorf("%d fetches for %d domains in an hour", n, len(names))
		}
	})
}

// fetched returns how many fetches there were.
func (w *world) fetched() (n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, fetches := range w.fetches {
		n += fetches
	}
	return n
}

// Broken publishers alone are not taken for a fault of this host.
func TestBrokenPublishersAreBlamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		s := *r.settings.Load()
		s.NegativeEntries = 100
		r.Configure(s)
		const broken = 20
		for i := range broken {
			d := fmt.Sprintf("d%d.example", i)
			w.publish(d, "1", "")
			w.setHost(d, hostAnswer{err: &policyhost.FetchError{Host: d, Result: policyhost.ResultFetchError, Err: errRefused}})
		}
		for range 20 {
			for i := range broken {
				expect(t, r, fmt.Sprintf("d%d.example", i), "-")
			}
			time.Sleep(2 * time.Minute)
		}
		if err := r.Unreachable(); err != nil {
			t.Error(err)
		}
		w.expectLogged("Policy could not be fetched", broken)
	})
}
