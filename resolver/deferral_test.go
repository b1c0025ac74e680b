package resolver

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
)

// deferred returns the reason for which the domain is deferred, "" if it is not.
func deferred(t *testing.T, r *Resolver, domain string) string {
	t.Helper()
	d, err := mtasts.ParseDomain(domain)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range r.Deferrals()[d] {
		return f.Reason
	}
	return ""
}

// A deferral is reported once when it begins and once when a check gives a verdict.
func TestDeferral(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		c := &checker{err: errors.New("TLSA _25._tcp.mx.a.example: SERVFAIL")}
		r := w.resolverWithDANE(w.memory(), c)
		h := hop(t, "a.example")
		for range 3 {
			_, _, err := lookUpDANE(t, r, h)
			if err == nil {
				t.Fatal("DANE is known")
			}
			r.Deferred(h, err.Error(), false)
			time.Sleep(time.Minute)
		}
		w.expectLogged("Postfix gets TEMP", 1)
		if got, want := deferred(t, r, "a.example"), "DANE cannot be looked up now: TLSA _25._tcp.mx.a.example: SERVFAIL"; got != want {
			t.Errorf("deferred for %q, want %q", got, want)
		}
		c.err, c.verdict = nil, dane.Verdict{Kind: dane.None, TTL: time.Hour}
		time.Sleep(10 * time.Minute)
		expectDANE(t, r, "a.example", dane.None, 0)
		w.expectLogged("DANE can be looked up again", 1)
		if got := deferred(t, r, "a.example"); got != "" {
			t.Errorf("deferred after the verdict: %s", got)
		}
		r.Deferred(h, "a reply made before the verdict", false)
		if got := deferred(t, r, "a.example"); got != "" {
			t.Errorf("deferred although there is a verdict: %s", got)
		}
	})
}

// A deferral ends also if the domain has no enforced policy and only some hosts are unknown.
func TestDeferralEndsWithoutAVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolverWithDANE(w.memory(), &checker{err: errServfail})
		h := hop(t, "a.example")
		r.Deferred(h, "MX a.example: SERVFAIL", false)
		for range 2 {
			r.NotDeferred(h)
			w.expectLogged("DANE can be looked up again", 1)
		}
		if got := deferred(t, r, "a.example"); got != "" {
			t.Errorf("still deferred: %s", got)
		}
	})
}

// The verdict that some hosts are unknown names the question; a deferral that nobody
// looks up any more is forgotten.
func TestDeferralBySomeHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		question := errors.New("TLSA _25._tcp.mx2.a.example: SERVFAIL")
		c := &checker{verdict: dane.Verdict{Kind: dane.Unknown, TTL: time.Minute, Failed: question}}
		r := w.resolverWithDANE(w.memory(), c)
		h := hop(t, "a.example")
		for _, cached := range []bool{false, true} {
			a, ok := r.Cached(h, time.Now())
			if !ok {
				var err error
				if a, err = r.Resolve(t.Context(), h); err != nil {
					t.Fatal(err)
				}
			}
			if ok != cached || a.Failed != question {
				t.Errorf("cached %v: %v, failed %v", ok, a.DANE, a.Failed)
			}
		}
		r.Deferred(h, question.Error(), false)
		if deferred(t, r, "a.example") == "" {
			t.Error("not deferred")
		}
		time.Sleep(deferralLapse + time.Minute)
		if got := deferred(t, r, "a.example"); got != "" {
			t.Errorf("long after the last lookup: %s", got)
		}
	})
}
