package resolver

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
)

const (
	refreshFailing = "mta_sts_policies_refresh_failing"
	expiring       = "mta_sts_policies_expiring"
	mxMismatch     = "mta_sts_policies_mx_mismatch"
)

// From the first failure to the policy's end, through a restart.
func TestGaugesWhileRefreshFails(t *testing.T) {
	for _, tc := range []struct {
		mode     string
		failing  float64
		expiring bool
	}{{"enforce", 1, true}, {"testing", 1, false}, {"none", 0, false}} {
		t.Run(tc.mode, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				st := w.memory()
				w.publish("a.example", "1", policyText(tc.mode, "864000"))
				r := w.resolverWith(st)
				known := tc.mode + "/1"
				expect(t, r, "a.example", known)
				w.expectMetric(refreshFailing, count(0))
				w.setHost("a.example", hostAnswer{err: errRefused})
				within := func(labels ...string) {
					t.Helper()
					want := map[string]float64{}
					for _, l := range labels {
						if tc.expiring {
							want[l] = 1
						}
					}
					w.expectMetric(refreshFailing, count(tc.failing))
					w.expectMetric(expiring, want)
				}
				keepInUse(t, r, "a.example", known, 7*day)
				within()
				r.Close()
				r = w.resolverWith(st)
				synctest.Wait()
				within()
				keepInUse(t, r, "a.example", known, day+time.Hour)
				within("48h")
				keepInUse(t, r, "a.example", known, day)
				within("24h", "48h")
				keepInUse(t, r, "a.example", known, 23*time.Hour)
				time.Sleep(time.Second)
				w.expectMetric(refreshFailing, count(0))
				w.expectMetric(expiring, map[string]float64{})
			})
		})
	}
}

// What takes a domain off the list, evicted from memory or not.
func TestRefreshFailingEnds(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, w *world, r *Resolver, d mtasts.Domain){
		"fetched": func(t *testing.T, w *world, r *Resolver, d mtasts.Domain) {
			w.publish("a.example", "2", policyText("enforce", "864000"))
			time.Sleep(2 * time.Hour)
		},
		"record of the id known": func(t *testing.T, w *world, r *Resolver, d mtasts.Domain) {
			w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=1;"}, ttl: time.Minute})
			w.setHost("a.example", hostAnswer{text: policyText("enforce", "8640000")})
			time.Sleep(6 * time.Minute) // until the other id could be fetched again
			lookUp(t, r, "a.example")
		},
		"replaced by none": func(t *testing.T, w *world, r *Resolver, d mtasts.Domain) {
			w.publish("a.example", "2", policyText("none", "864000"))
			time.Sleep(2 * time.Hour)
		},
		"replaced by one not to be kept": func(t *testing.T, w *world, r *Resolver, d mtasts.Domain) {
			w.publish("a.example", "2", policyText("enforce", "0"))
			time.Sleep(2 * time.Hour)
		},
		"purged": func(t *testing.T, w *world, r *Resolver, d mtasts.Domain) { r.Purge(t.Context(), d) },
		"out of use": func(t *testing.T, w *world, r *Resolver, d mtasts.Domain) {
			time.Sleep(15 * day)
		},
	} {
		for _, evicted := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s evicted=%v", name, evicted), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t)
					st := w.memory()
					w.publish("a.example", "1", policyText("enforce", "8640000"))
					r := w.resolverWith(st)
					expect(t, r, "a.example", "enforce/1")
					w.setTXT("a.example", txtAnswer{records: []string{"v=STSv1; id=2;"}, ttl: time.Minute})
					w.setHost("a.example", hostAnswer{err: errRefused})
					time.Sleep(5 * time.Minute)
					expect(t, r, "a.example", "enforce/1")
					w.expectMetric(refreshFailing, count(1))
					if evicted {
						evictAll(t, w, r)
					}
					w.expectMetric(refreshFailing, count(1))
					end(t, w, r, hop(t, "a.example").Domain)
					w.expectMetric(refreshFailing, count(0))
					r.Close()
					w.resolverWith(st)
					synctest.Wait()
					w.expectMetric(refreshFailing, count(0))
				})
			})
		}
	}
}

// evictAll has other policies take all room in memory.
func evictAll(t *testing.T, w *world, r *Resolver) {
	t.Helper()
	synctest.Wait() // or MX hosts judged in the background bring it back to memory
	for i := range r.settings.Load().Entries {
		d := fmt.Sprintf("other%d.example", i)
		w.publish(d, "1", policyText("enforce", "864000"))
		expect(t, r, d, "enforce/1")
	}
	if r.policies.Live(hop(t, "a.example").Domain, 0) != nil {
		t.Fatal("a.example is still in memory")
	}
}

// MX hosts change without the policy; each refresh looks at them.
func TestGaugeOfMXMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolverWith(st)
		setMX := func(host string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.mx["a.example"] = host
		}
		refreshed := func(want float64, logged int) {
			t.Helper()
			keepInUse(t, r, "a.example", "enforce/1", 27*time.Hour)
			w.expectMetric(mxMismatch, count(want))
			w.expectLogged("matches none of its domain's MX hosts", logged)
		}
		refreshed(0, 0)
		setMX("other.example")
		refreshed(1, 1)
		refreshed(1, 1)
		r.Close()
		r = w.resolverWith(st)
		synctest.Wait()
		w.expectMetric(mxMismatch, count(1)) // the file has it
		refreshed(1, 1)
		setMX("mx.example")
		refreshed(0, 1)
		w.expectLogged("matches an MX host again", 1)
		setMX("other.example")
		refreshed(1, 2)
		w.publish("a.example", "2", policyText("testing", "864000"))
		time.Sleep(time.Hour)
		expect(t, r, "a.example", "testing/2")
		w.expectMetric(mxMismatch, count(0))
	})
}

// All states that the metric has, their end, and that it counts again at most once a minute.
func TestDomainsByState(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const byState = "mta_sts_policies"
		w := newWorld(t)
		r := w.resolver()
		synctest.Wait() // for the first census
		w.expectMetric(byState, map[string]float64{})
		for _, mode := range []string{"enforce", "testing", "none"} {
			w.publish(mode+".example", "1", policyText(mode, "864000"))
			expect(t, r, mode+".example", mode+"/1")
		}
		w.publish("mismatch.example", "1", policyText("enforce", "864000"))
		w.mu.Lock()
		w.mx["mismatch.example"] = "other.example"
		w.mu.Unlock()
		expect(t, r, "mismatch.example", "enforce/1")
		w.setTXT("broken.example", txtAnswer{records: []string{"v=STSv1; id=1;"}})
		w.setHost("broken.example", hostAnswer{err: errRefused})
		expect(t, r, "broken.example", "-")
		expect(t, r, "absent.example", "-")
		synctest.Wait()
		w.expectMetric(byState, map[string]float64{"mismatch": 1}) // the others are counted again
		time.Sleep(time.Minute)
		w.metrics(byState)
		synctest.Wait()
		all := map[string]float64{"enforce": 2, "testing": 1, "none": 1, "mismatch": 1, "broken": 1}
		w.expectMetric(byState, all)

		for range 3 { // repeated: a later round fetches the policy again
			expect(t, r, "mismatch.example", "enforce/1")
		}
		if got := r.Mismatched(); len(got) != 1 || got[0].String() != "mismatch.example" {
			t.Errorf("mismatched: %v", got)
		}
		if k, _ := r.Known(hop(t, "mismatch.example").Domain); k.Deferred != 3 {
			t.Errorf("%d lookups counted as deferred, want 3", k.Deferred)
		}

		w.setTXT("enforce.example", txtAnswer{ttl: time.Minute})
		w.setHost("enforce.example", hostAnswer{err: errRefused})
		time.Sleep(time.Hour)
		expect(t, r, "enforce.example", "enforce/1")
		w.metrics(byState)
		synctest.Wait()
		all["record-gone"] = 1
		w.expectMetric(byState, all)
		keepInUse(t, r, "enforce.example", "enforce/1", 9*day)
		if got := r.Expiring(); len(got) != 1 || got[0].String() != "enforce.example" {
			t.Errorf("expiring: %v", got)
		}
		time.Sleep(12 * day)
		w.metrics(byState)
		synctest.Wait()
		// enforce.example could not be refreshed, none.example never is, the others were.
		w.expectMetric(byState, map[string]float64{"expired": 2, "enforce": 1, "testing": 1, "mismatch": 1, "broken": 1})
	})
}

// The reason of an answer without a policy, at the first lookup and from memory.
func TestAnswerWithout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		r := w.resolver()
		record := txtAnswer{records: []string{"v=STSv1; id=1;"}}
		w.setTXT("refused.example", record)
		w.setHost("refused.example", hostAnswer{err: errRefused})
		w.setTXT("two.example", txtAnswer{records: []string{record.records[0], record.records[0]}})
		w.setTXT("servfail.example", txtAnswer{err: errServfail})
		w.setTXT("late.example", txtAnswer{delay: time.Minute})
		for domain, want := range map[string]policies.State{
			"absent.example":   policies.StateAbsent,
			"refused.example":  policies.StateBroken,
			"two.example":      policies.StateBroken,
			"servfail.example": policies.StateUnknown,
			"late.example":     policies.StateUnknown,
			strings.Repeat(strings.Repeat("a", 49)+".", 5) + "a": policies.StateAbsent, // the record's name would be too long
		} {
			a, err := r.Resolve(t.Context(), hop(t, domain))
			if got := cmp.Or(a.Without, policies.StateUnknown); err != nil || got != want {
				t.Errorf("%s: %s, %v, want %s", domain, got, err, want)
			}
			if a, ok := r.Cached(hop(t, domain), time.Now()); ok && cmp.Or(a.Without, policies.StateUnknown) != want {
				t.Errorf("%s from memory: %s, want %s", domain, a.Without, want)
			}
		}
	})
}
