package resolver

import (
	"errors"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
)

// metrics count what a Resolver does. What it has at the moment is in gauges.go.
type metrics struct {
	lookups       lookupCounters
	discoveries   discoveryCounters
	refreshes     refreshCounters
	fetches       map[policyhost.Result]prometheus.Counter
	fetchDuration prometheus.Histogram
	downgrades    prometheus.Counter
}

type (
	lookupCounters    struct{ hit, negative, recheck, miss prometheus.Counter }
	discoveryCounters struct{ policy, unchanged, noRecord, invalidRecord, noPolicy, dnsError, busy prometheus.Counter }
	refreshCounters   struct{ unchanged, changed, failed prometheus.Counter }
)

// newMetrics returns metrics that reg collects; where reg is nil, nobody does.
func newMetrics(reg prometheus.Registerer) *metrics {
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
		"Fetches that were to renew a policy still live: unchanged and changed (by the policy fetched) or failed.")
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
		downgrades: factory.NewCounter(prometheus.CounterOpts{
			Name: "mta_sts_policy_downgrades_total",
			Help: "Policies of mode enforce that their domains replaced by one of mode testing or none.",
		}),
	}
	for _, result := range []policyhost.Result{policyhost.ResultOK, policyhost.ResultFetchError, policyhost.ResultWebPKIInvalid, policyhost.ResultPolicyInvalid} {
		m.fetches[result] = fetches(string(result))
	}
	return m
}

// fromMemory counts a lookup that memory answered so.
func (c *lookupCounters) fromMemory(a Answer) {
	if a.Policy != nil {
		c.hit.Inc()
	} else {
		c.negative.Inc()
	}
}

// withoutFetch counts a discovery that went no further than the record. err is
// of lookUpRecord.
func (c *discoveryCounters) withoutFetch(err error) {
	switch {
	case err == nil:
		c.unchanged.Inc()
	case errors.Is(err, errDNS):
		c.dnsError.Inc()
	case errors.Is(err, mtasts.ErrNoRecord):
		c.noRecord.Inc()
	default:
		c.invalidRecord.Inc()
	}
}

// fetched counts a fetch.
func (m *metrics) fetched(took time.Duration, err error) {
	result := policyhost.ResultFetchError
	if err == nil {
		result = policyhost.ResultOK
	} else if fault, ok := errors.AsType[*policyhost.FetchError](err); ok {
		result = fault.Result
	} else if _, ok := errors.AsType[*mtasts.SyntaxError](err); ok {
		result = policyhost.ResultPolicyInvalid
	}
	m.fetches[result].Inc()
	m.fetchDuration.Observe(took.Seconds())
}

// refreshed counts the fetch that was to renew a live policy.
func (c *refreshCounters) refreshed(known *entry, fetched mtasts.Policy, err error) {
	switch {
	case err != nil:
		c.failed.Inc()
	case fetched.Text == known.policy.Text:
		c.unchanged.Inc()
	default:
		c.changed.Inc()
	}
}
