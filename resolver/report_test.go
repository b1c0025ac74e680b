package resolver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/policyhost"
)

// Errors of fetches, as package policyhost returns them.
var (
	errNoRoute   = &policyhost.FetchError{Host: "h", Result: policyhost.ResultFetchError, Fault: policyhost.FaultLocal, Err: errors.New("no route")}
	errNoAddress = &policyhost.FetchError{Host: "h", Result: policyhost.ResultFetchError, Fault: policyhost.FaultDNS, Err: errServfail}
	errTooMany   = &policyhost.FetchError{Host: "h", Result: policyhost.ResultFetchError, Fault: policyhost.FaultLoad, Err: errors.New("too many")}
	errStatus    = &policyhost.FetchError{Host: "h", Result: policyhost.ResultFetchError, Err: errors.New("status 404 Not Found"), Answered: true}
	errWrong     = &policyhost.FetchError{Host: "h", Result: policyhost.ResultWebPKIInvalid, Err: &tls.CertificateVerificationError{Err: x509.HostnameError{Host: "h", Certificate: &x509.Certificate{}}}}
	errOutdated  = &policyhost.FetchError{Host: "h", Result: policyhost.ResultWebPKIInvalid, Err: &tls.CertificateVerificationError{Err: x509.CertificateInvalidError{Reason: x509.Expired}}}
)

// failure looks a domain up and returns the word of the failure to report, "" without
// one.
func failure(t *testing.T, r *Resolver, domain string) string {
	t.Helper()
	h := hop(t, domain)
	a, ok := r.Cached(h, time.Now())
	if !ok {
		var err error
		if a, err = r.Resolve(t.Context(), h); err != nil {
			t.Fatalf("%s: %v", domain, err)
		}
	}
	if a.Failure == nil {
		return ""
	}
	return a.Failure.Word
}

func expectFailure(t *testing.T, r *Resolver, domain, want string) {
	t.Helper()
	for _, from := range []string{"a discovery", "memory"} {
		if got := failure(t, r, domain); got != want {
			t.Errorf("%s, from %s: %q is reported, want %q", domain, from, got, want)
		}
	}
}

// Policies that are announced and cannot be used are reported, other failures are not.
func TestReportedFailures(t *testing.T) {
	announced := []string{"v=STSv1; id=1;"}
	for name, tc := range map[string]struct {
		txt  txtAnswer
		host hostAnswer
		want string
	}{
		"refused":             {txtAnswer{records: announced}, hostAnswer{err: errRefused}, "sts-policy-fetch-error"},
		"status 404":          {txtAnswer{records: announced}, hostAnswer{err: errStatus}, "sts-policy-fetch-error"},
		"wrong certificate":   {txtAnswer{records: announced}, hostAnswer{err: errWrong}, "sts-webpki-invalid"},
		"no policy":           {txtAnswer{records: announced}, hostAnswer{text: "It works!"}, "sts-policy-invalid"},
		"two records":         {txtAnswer{records: []string{"v=STSv1; id=1;", "v=STSv1; id=2;"}}, hostAnswer{}, "sts-policy-invalid"},
		"malformed record":    {txtAnswer{records: []string{"v=STSv1;"}}, hostAnswer{}, "sts-policy-invalid"},
		"no record":           {txtAnswer{}, hostAnswer{}, ""},
		"record not known":    {txtAnswer{err: errServfail}, hostAnswer{}, ""},
		"host's address":      {txtAnswer{records: announced}, hostAnswer{err: errNoAddress}, ""},
		"no route":            {txtAnswer{records: announced}, hostAnswer{err: errNoRoute}, ""},
		"load":                {txtAnswer{records: announced}, hostAnswer{err: errTooMany}, ""},
		"certificate expired": {txtAnswer{records: announced}, hostAnswer{err: errOutdated}, ""}, // the clock is not confirmed
		"a policy":            {txtAnswer{records: announced}, hostAnswer{text: policyText("enforce", "86400")}, ""},
		"mode testing":        {txtAnswer{records: announced}, hostAnswer{text: policyText("testing", "86400")}, ""},
		"mode none":           {txtAnswer{records: announced}, hostAnswer{text: policyText("none", "86400")}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				tc.txt.ttl = 5 * time.Minute
				w.setTXT("a.example", tc.txt)
				w.setHost("a.example", tc.host)
				expectFailure(t, w.resolver(), "a.example", tc.want)
			})
		})
	}
}

// While a cached policy applies, nothing is reported, although its refresh fails.
func TestNoReportWhileThePolicyHolds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		w.publish("a.example", "1", policyText("enforce", "7200"))
		expect(t, r, "a.example", "enforce/1")
		w.setHost("a.example", hostAnswer{err: errStatus})
		w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=2;"}, ttl: 5 * time.Minute})
		time.Sleep(time.Hour)
		expectFailure(t, r, "a.example", "")
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(time.Hour + time.Minute)
		expectFailure(t, r, "a.example", "sts-policy-fetch-error")
	})
}

// An attempt that learns nothing because the DNS or this host fails is not reported as
// the failure that an earlier one had.
func TestNoReportOfAnEarlierFailure(t *testing.T) {
	for name, now := range map[string]func(*world){
		"the DNS fails": func(w *world) { w.setTXT("a.example", txtAnswer{err: errServfail}) },
		"no route":      func(w *world) { w.setHost("a.example", hostAnswer{err: errNoRoute}) },
		"load":          func(w *world) { w.setHost("a.example", hostAnswer{err: errTooMany}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.resolver()
				w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1;"}, ttl: 5 * time.Minute})
				w.setHost("a.example", hostAnswer{err: errStatus})
				expectFailure(t, r, "a.example", "sts-policy-fetch-error")
				now(w)
				time.Sleep(6 * time.Minute)
				expectFailure(t, r, "a.example", "")
			})
		})
	}
}

// If no policy host was reached for ten minutes, the fault may be here: nothing is
// reported until one is, not even of domains that failed before.
func TestNoReportWhileNoHostIsReached(t *testing.T) {
	for name, tc := range map[string]struct {
		err     error
		reached bool
	}{
		"refused":            {errRefused, false},
		"other certificates": {errWrong, false},
		"status 404":         {errStatus, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.resolver()
				word, _ := policyhost.Classify(tc.err)
				for i := range 4 { // every 4 minutes another domain
					domain := fmt.Sprintf("d%d.example", i)
					w.publish(domain, "1", "")
					w.setHost(domain, hostAnswer{err: tc.err})
					want := string(word)
					if i == 3 && !tc.reached {
						want = ""
					}
					expectFailure(t, r, domain, want)
					time.Sleep(4 * time.Minute)
				}
				w.publish("good.example", "1", policyText("enforce", "86400"))
				expect(t, r, "good.example", "enforce/1")
				expectFailure(t, r, "d3.example", string(word))
			})
		})
	}
}

// No policy host can be reached for a reason of this host's own: what failed before is
// not reported either.
func TestNoReportWithoutRoute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		w.publish("a.example", "1", "")
		w.setHost("a.example", hostAnswer{err: errStatus})
		expectFailure(t, r, "a.example", "sts-policy-fetch-error")
		for i := range localDomains {
			domain := fmt.Sprintf("d%d.example", i)
			w.publish(domain, "1", "")
			w.setHost(domain, hostAnswer{err: errNoRoute})
			expectFailure(t, r, domain, "")
		}
		expectFailure(t, r, "a.example", "")
	})
}

// That a certificate has expired is reported only if another was accepted by the same
// clock.
func TestReportsByTheClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		w.publish("expired.example", "1", "")
		w.setHost("expired.example", hostAnswer{err: errOutdated})
		w.publish("good.example", "1", policyText("enforce", "86400"))
		w.publish("other.example", "1", policyText("enforce", "86400"))
		expectFailure(t, r, "expired.example", "")
		expect(t, r, "good.example", "enforce/1")
		expectFailure(t, r, "expired.example", "sts-webpki-invalid")
		w.machine.SetWall(time.Hour)
		time.Sleep(2 * observeInterval)
		expectFailure(t, r, "expired.example", "")
		expect(t, r, "other.example", "enforce/1")
		expectFailure(t, r, "expired.example", "sts-webpki-invalid")
	})
}

// A lookup that is answered before its discovery has ended is reported at that end.
func TestReportAfterTheAnswer(t *testing.T) {
	for name, tc := range map[string]struct {
		host hostAnswer
		want string
	}{
		"fails":     {hostAnswer{err: errRefused, delay: time.Minute}, "sts-policy-fetch-error"},
		"no policy": {hostAnswer{text: "It works!", delay: time.Minute}, "sts-policy-invalid"},
		"no route":  {hostAnswer{err: errNoRoute, delay: time.Minute}, ""},
		"a policy":  {hostAnswer{text: policyText("enforce", "86400"), delay: time.Minute}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				r := w.resolver()
				w.publish("a.example", "1", "")
				w.setHost("a.example", tc.host)
				start := time.Now()
				a, err := r.Resolve(t.Context(), hop(t, "a.example"))
				if err != nil || a.Policy != nil || a.Failure != nil || a.Later == nil {
					t.Fatalf("Resolve = %+v, %v", a, err)
				}
				if took := time.Since(start); took != 8*time.Second {
					t.Errorf("answered after %v", took)
				}
				got := ""
				if f := a.Later(); f != nil {
					got = f.Word
				}
				if took := time.Since(start); got != tc.want || took != time.Minute {
					t.Errorf("%q after %v, want %q", got, took, tc.want)
				}
			})
		})
	}
}

// The resolver's end ends what waits for a discovery.
func TestReportAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		w.publish("a.example", "1", "")
		w.setHost("a.example", hostAnswer{err: errRefused, delay: time.Hour})
		a, err := r.Resolve(t.Context(), hop(t, "a.example"))
		if err != nil || a.Later == nil {
			t.Fatalf("Resolve = %+v, %v", a, err)
		}
		r.Close()
		if f := a.Later(); f != nil {
			t.Errorf("%+v is reported", f)
		}
	})
}

// The answer for a policy that matches no MX host says so, as long as that is so.
func TestMismatchInAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		w.publish("a.example", "1", policyText("enforce", "86400"))
		matchesNone := func() bool {
			t.Helper()
			expect(t, r, "a.example", "enforce/1")
			synctest.Wait()
			a, ok := r.Cached(hop(t, "a.example"), time.Now())
			if !ok {
				t.Fatal("memory does not have the policy")
			}
			return a.MatchesNoMX
		}
		for _, tc := range []struct {
			host string
			want bool
		}{{"mx.example", false}, {"mx.elsewhere.example", true}, {"mx.example", false}} {
			w.setMX("a.example", tc.host)
			time.Sleep(6 * time.Minute) // the record is due
			if got := matchesNone(); got != tc.want {
				t.Errorf("MX %s: %v", tc.host, got)
			}
		}
	})
}

// The answer does not say that a policy matches no MX host because that was so of the policy
// before, which named others.
func TestMismatchOfThePolicyBefore(t *testing.T) {
	for name, find := range map[string]func(t *testing.T, a, b *Resolver){
		"fetched here":  func(*testing.T, *Resolver, *Resolver) {},
		"fetched there": func(t *testing.T, _, b *Resolver) { expect(t, b, "a.example", "enforce/2") },
	} {
		t.Run(name, func(t *testing.T) {
			withTwoNodes(t, func(t *testing.T, w *world, _ *hub, a, b *Resolver) {
				w.publish("a.example", "1", policyText("enforce", "86400"))
				w.setMX("a.example", "mx.elsewhere.example")
				expect(t, a, "a.example", "enforce/1")
				synctest.Wait()
				time.Sleep(6 * time.Minute)
				w.publish("a.example", "2", "version: STSv1\nmode: enforce\nmx: mx.elsewhere.example\nmax_age: 86400\n")
				s := *a.settings.Load()
				s.MX = noMX{}
				a.Configure(s)
				find(t, a, b)
				for range 2 {
					got, err := a.Resolve(t.Context(), hop(t, "a.example"))
					if err != nil || got.Policy == nil || got.Policy.MX[0] != "mx.elsewhere.example" {
						t.Fatalf("Resolve = %+v, %v", got, err)
					}
					if got.MatchesNoMX {
						t.Error("it matches no MX host")
					}
				}
			})
		})
	}
}

// noMX is a DNS that does not answer.
type noMX struct{}

func (noMX) MX(context.Context, string) (a dnsclient.Answer[dnsclient.MX], err error) {
	return a, errServfail
}
