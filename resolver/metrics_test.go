package resolver

import (
	"errors"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/policyhost"
)

// metrics returns the values other than 0 of the metrics with that name, by the
// value of their only label, "" if they have no label.
func (w *world) metrics(name string) map[string]float64 {
	w.t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		w.t.Fatal(err)
	}
	values := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			label := ""
			if len(m.GetLabel()) > 0 {
				label = m.GetLabel()[0].GetValue()
			}
			values[label] = m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
		maps.DeleteFunc(values, func(_ string, v float64) bool { return v == 0 })
		return values
	}
	w.t.Fatalf("no metric %s", name)
	return nil
}

// expectMetric compares the values other than 0.
func (w *world) expectMetric(name string, want map[string]float64) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.metrics(name)); diff != "" {
		w.t.Errorf("%s (-want +got)\n%s", name, diff)
	}
}

// count is the expected value of a metric without labels.
func count(n float64) map[string]float64 {
	if n == 0 {
		return map[string]float64{}
	}
	return map[string]float64{"": n}
}

// What one first lookup of a domain counts.
func TestMetricsOfDiscovery(t *testing.T) {
	record := txtAnswer{records: []string{"v=STSv1; id=1;"}}
	for _, tc := range []struct {
		name      string
		txt       txtAnswer
		host      hostAnswer
		discovery string
		fetch     string // "" for none
	}{
		{"policy", record, hostAnswer{text: policyText("enforce", "864000")}, "policy", "ok"},
		{"policy that is not kept", record, hostAnswer{text: policyText("enforce", "0")}, "policy", "ok"},
		{"no record", txtAnswer{}, hostAnswer{}, "no_record", ""},
		{"malformed record", txtAnswer{records: []string{"v=STSv1; id=?"}}, hostAnswer{}, "invalid_record", ""},
		{"DNS fails", txtAnswer{err: errServfail}, hostAnswer{}, "dns_error", ""},
		{"policy malformed", record, hostAnswer{text: "version: STSv2"}, "no_policy", "sts-policy-invalid"},
		{"no policy", record, hostAnswer{err: &policyhost.FetchError{Result: policyhost.ResultFetchError, Err: errRefused}}, "no_policy", "sts-policy-fetch-error"},
		{"bad certificate", record, hostAnswer{err: &policyhost.FetchError{Result: policyhost.ResultWebPKIInvalid, Err: errRefused}}, "no_policy", "sts-webpki-invalid"},
		{"other failure", record, hostAnswer{err: errors.New("out of memory")}, "no_policy", "sts-policy-fetch-error"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				w.setTXT("a.example", tc.txt)
				w.setHost("a.example", tc.host)
				lookUp(t, w.resolver(), "a.example")
				w.expectMetric("mta_sts_discoveries_total", map[string]float64{tc.discovery: 1})
				w.expectMetric("mta_sts_cache_requests_total", map[string]float64{"miss": 1})
				w.expectMetric("mta_sts_refreshes_total", map[string]float64{})
				fetches, timed := map[string]float64{}, 0.0
				if tc.fetch != "" {
					fetches, timed = map[string]float64{tc.fetch: 1}, 1
				}
				w.expectMetric("mta_sts_policy_fetches_total", fetches)
				w.expectMetric("mta_sts_policy_fetch_duration_seconds", count(timed))
			})
		})
	}
}

// A discovery that a stop cuts short is nobody's failure.
func TestMetricsOfStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		w.setHost("a.example", hostAnswer{delay: time.Minute})
		r := w.resolver()
		lookUp(t, r, "a.example")
		r.Close()
		w.expectMetric("mta_sts_discoveries_total", map[string]float64{})
		w.expectMetric("mta_sts_policy_fetches_total", map[string]float64{})
	})
}

// Each lookup counts once, by the state of the domain when it arrived.
func TestMetricsOfLookups(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		st := w.memory()
		w.publish("a.example", "1", policyText("enforce", "864000"))
		c := &checker{verdict: dane.Verdict{Kind: dane.None, TTL: time.Hour}, delay: time.Second}
		r := w.resolverWithDANE(st, c)
		want := map[string]float64{}
		look := func(domain, result string) {
			t.Helper()
			lookUp(t, r, domain)
			want[result]++
			w.expectMetric("mta_sts_cache_requests_total", want)
		}
		look("a.example", "miss")
		look("a.example", "hit")
		look("absent.example", "miss")
		look("absent.example", "negative")
		time.Sleep(5 * time.Minute)
		look("a.example", "recheck")
		look("a.example", "hit")
		w.expectMetric("mta_sts_discoveries_total", map[string]float64{"policy": 1, "no_record": 1, "unchanged": 1})
		w.expectMetric("mta_sts_cache_entries", map[string]float64{"policy": 1, "negative": 1, "dane": 2})
		r.Close()

		r = w.resolverWithDANE(st, c)
		want = map[string]float64{}
		look("a.example", "hit") // from the store
		r.verdicts.ForgetAll()   // then memory has the policy, and what DANE says must be waited for
		look("a.example", "hit")
	})
}

func TestMetricsOfRefreshes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("a.example", "1", policyText("enforce", "864000"))
		r := w.resolver()
		keepInUse(t, r, "a.example", "enforce/1", 27*time.Hour)
		w.expectMetric("mta_sts_refreshes_total", map[string]float64{"unchanged": 1})
		w.expectMetric("mta_sts_policy_downgrades_total", count(0))
		w.publish("a.example", "2", policyText("testing", "864000"))
		lookUp(t, r, "a.example")
		w.expectMetric("mta_sts_refreshes_total", map[string]float64{"unchanged": 1, "changed": 1})
		w.expectMetric("mta_sts_policy_downgrades_total", count(1))
		w.publish("a.example", "3", policyText("none", "864000"))
		w.setHost("a.example", hostAnswer{err: errRefused})
		time.Sleep(5 * time.Minute)
		lookUp(t, r, "a.example")
		w.expectMetric("mta_sts_refreshes_total", map[string]float64{"unchanged": 1, "changed": 1, "failed": 1})
	})
}
