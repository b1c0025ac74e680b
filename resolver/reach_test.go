package resolver

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/policyhost"
)

// Faults of this host are one event and nobody's failure.
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
		w.expectLogged("cannot be refreshed", 0)
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

// The same for a new id that a record has while every policy host refuses.
func TestUnreachableHostWithANewID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		var names []string
		for i := range 6 {
			d := fmt.Sprintf("d%d.example", i)
			names = append(names, d)
			w.publish(d, "1", policyText("enforce", "864000"))
			expect(t, r, d, "enforce/1")
		}
		for _, d := range names {
			w.setHost(d, hostAnswer{err: &policyhost.FetchError{Host: d, Result: policyhost.ResultFetchError, Err: errRefused}})
		}
		time.Sleep(28 * time.Hour) // all were due
		if r.Unreachable() == nil {
			t.Fatal("policy hosts count as reachable")
		}
		w.setTXT("d0.example", txtAnswer{records: []string{"v=STSv1; id=2;"}, ttl: time.Minute})
		_, before := w.asked("d0.example")
		for range 59 {
			expect(t, r, "d0.example", "enforce/1")
			time.Sleep(time.Minute)
		}
		if _, fetches := w.asked("d0.example"); fetches-before > 12 {
			t.Errorf("%d fetches in 59 minutes", fetches-before)
		}
	})
}
