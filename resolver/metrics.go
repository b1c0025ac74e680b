package resolver

import (
	"errors"
	"math"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/policyhost"
)

// metrics count the work of a Resolver. Package policies counts the states of domains.
type metrics struct {
	lookups       lookupCounters
	discoveries   discoveryCounters
	refreshes     refreshCounters
	fetches       map[policyhost.Result]prometheus.Counter
	fetchDuration prometheus.Histogram
}

type (
	lookupCounters    struct{ hit, negative, recheck, miss prometheus.Counter }
	discoveryCounters struct{ policy, unchanged, noRecord, invalidRecord, noPolicy, dnsError, busy prometheus.Counter }
	refreshCounters   struct{ unchanged, changed, failed prometheus.Counter }
)

// newMetrics returns metrics that reg, if it is not nil, collects.
func newMetrics(reg prometheus.Registerer, r *Resolver) *metrics {
	factory := promauto.With(reg)
	byResult := func(name, help string) func(result string) prometheus.Counter {
		vec := factory.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{"result"})
		return func(result string) prometheus.Counter { return vec.WithLabelValues(result) }
	}
	lookups := byResult("mta_sts_cache_requests_total",
		"Lookups by what was known: hit (a policy), negative (that there is none), recheck (a policy whose record was asked for again first) or miss (nothing).")
	discoveries := byResult("mta_sts_discoveries_total",
		"Times that the network was asked about a domain, by what was learned: policy (fetched), unchanged (the policy known holds), no_record, invalid_record, no_policy (a record but no policy to be had), dns_error (the record could not be asked for) or busy (nothing, because too many were under way).")
	refreshes := byResult("mta_sts_refreshes_total",
		"Fetches to refresh a policy still live: unchanged and changed (by the policy fetched) or failed.")
	fetches := byResult("mta_sts_policy_fetches_total",
		"Fetches from policy hosts by their result in the words of RFC 8460.")
	m := &metrics{
		lookups: lookupCounters{
			hit: lookups("hit"), negative: lookups("negative"), recheck: lookups("recheck"), miss: lookups("miss"),
		},
		discoveries: discoveryCounters{
			policy: discoveries("policy"), unchanged: discoveries("unchanged"), noRecord: discoveries("no_record"),
			invalidRecord: discoveries("invalid_record"), noPolicy: discoveries("no_policy"), dnsError: discoveries("dns_error"), busy: discoveries("busy"),
		},
		refreshes: refreshCounters{
			unchanged: refreshes("unchanged"), changed: refreshes("changed"), failed: refreshes("failed"),
		},
		fetches: map[policyhost.Result]prometheus.Counter{},
		fetchDuration: factory.NewHistogram(prometheus.HistogramOpts{
			Name:    "mta_sts_policy_fetch_duration_seconds",
			Help:    "How long fetches from policy hosts took, the lookup of the host's addresses included.",
			Buckets: []float64{.025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
		}),
	}
	for _, result := range []policyhost.Result{policyhost.ResultOK, policyhost.ResultFetchError, policyhost.ResultWebPKIInvalid, policyhost.ResultPolicyInvalid} {
		m.fetches[result] = fetches(string(result))
	}
	for state, count := range r.domainsByState() {
		factory.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "mta_sts_policies",
			Help:        "Domains by state, in the words of mta-sts-daemon policies --state. A domain may have several: failing, expiring, mismatch and record-gone are said of live policies, temp of any domain. The modes, expired, record-gone and broken are counted anew every few minutes.",
			ConstLabels: prometheus.Labels{"state": state},
		}, count)
	}
	factory.NewGaugeFunc(prometheus.GaugeOpts{Name: policies.EntriesMetric, Help: policies.EntriesHelp,
		ConstLabels: prometheus.Labels{"kind": "dane"}}, func() float64 { return float64(r.verdicts.Len()) })
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mta_sts_policy_hosts_unreachable",
		Help: "1 while no policy host can be reached for a reason of this host's own (no route, proxy, authorities), or no fetch has succeeded for ten minutes, else 0.",
	}, func() float64 {
		if r.reach.err() != nil {
			return 1
		}
		return 0
	})
	return m
}

// domainsByState returns, by state, how many domains are in it; NaN if that is not known
// yet.
func (r *Resolver) domainsByState() map[string]func() float64 {
	census := func(count func(*policies.Census) int) func() float64 {
		return func() float64 {
			if c := r.policies.Census(); c != nil {
				return float64(count(c))
			}
			return math.NaN()
		}
	}
	by := map[string]func() float64{
		"temp":        func() float64 { return float64(len(r.Deferrals())) },
		"mismatch":    func() float64 { return float64(r.Counts().Mismatched) },
		"expiring":    func() float64 { return float64(r.Counts().Expiring48h) },
		"failing":     func() float64 { return float64(r.Counts().Failing) },
		"record-gone": census(func(c *policies.Census) int { return c.RecordGone }),
	}
	for _, s := range []policies.State{policies.StateEnforce, policies.StateTesting, policies.StateNone, policies.StateExpired, policies.StateBroken} {
		by[string(s)] = census(func(c *policies.Census) int { return c.States[s] })
	}
	return by
}

// fromMemory counts a lookup that memory answered so.
func (c *lookupCounters) fromMemory(a Answer) {
	if a.Policy != nil {
		c.hit.Inc()
	} else {
		c.negative.Inc()
	}
}

// ended counts a discovery.
func (c *discoveryCounters) ended(o *outcome) {
	switch {
	case o.kind == fetched:
		c.policy.Inc()
	case o.kind == settled, o.kind == refused: // refused is counted at once, not at the end
	case errors.Is(o.err, errDNS):
		c.dnsError.Inc()
	case o.kind == absent || errors.Is(o.err, mtasts.ErrNoRecord):
		c.noRecord.Inc()
	case o.kind == unchanged && o.err == nil:
		c.unchanged.Inc()
	case isRecordFault(o.err):
		c.invalidRecord.Inc()
	default:
		c.noPolicy.Inc()
	}
}

// isRecordFault reports whether err is about a record.
func isRecordFault(err error) bool {
	fault, ok := errors.AsType[*mtasts.SyntaxError](err)
	return ok && fault.What == "record"
}

// fetched counts a fetch.
func (m *metrics) fetched(took time.Duration, err error) {
	result, _ := policyhost.Classify(err)
	m.fetches[result].Inc()
	m.fetchDuration.Observe(took.Seconds())
}

// refreshed counts a fetch to refresh a live policy.
func (c *refreshCounters) refreshed(known *policies.Entry, fetched mtasts.Policy, err error) {
	switch {
	case err != nil:
		c.failed.Inc()
	case fetched.Text == known.Policy().Text:
		c.unchanged.Inc()
	default:
		c.changed.Inc()
	}
}
