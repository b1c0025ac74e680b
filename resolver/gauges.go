package resolver

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// expiringWithin are the times to its end within which a policy whose refresh
// fails is counted as expiring, by the name that the metric gives them.
var expiringWithin = map[string]time.Duration{"24h": 24 * time.Hour, "48h": 48 * time.Hour}

// registerGauges has reg collect what the Resolver has at the moment.
func (r *Resolver) registerGauges(reg prometheus.Registerer) {
	gauge := func(opts prometheus.GaugeOpts, value func() int) {
		promauto.With(reg).NewGaugeFunc(opts, func() float64 { return float64(value()) })
	}
	for kind, entries := range map[string]func() int{
		"policy":   r.cache.policies.Len,
		"negative": r.cache.absences.Len,
		"dane":     r.cache.verdicts.Len,
	} {
		gauge(prometheus.GaugeOpts{
			Name:        "mta_sts_cache_entries",
			Help:        "Entries in memory: policies, negative (domains known to have no policy) and dane (what DANE says of a next hop).",
			ConstLabels: prometheus.Labels{"kind": kind},
		}, entries)
	}
	gauge(prometheus.GaugeOpts{
		Name: "mta_sts_policies_refresh_failing",
		Help: "Live policies of domains in use whose last refresh failed; they are applied until they expire.",
	}, r.RefreshFailing)
	for name, within := range expiringWithin {
		gauge(prometheus.GaugeOpts{
			Name:        "mta_sts_policies_expiring",
			Help:        "Policies of mode enforce whose refresh fails and that expire within that time: mail to their domains will be sent as without a policy then.",
			ConstLabels: prometheus.Labels{"within": name},
		}, func() int { return r.cache.failing.enforcedUntil(r.clock.now(), within) })
	}
	gauge(prometheus.GaugeOpts{
		Name: "mta_sts_policies_mx_mismatch",
		Help: "Policies of mode enforce that matched none of their domain's MX hosts when last fetched by this process: mail to the domains is deferred.",
	}, func() int { return r.cache.mismatched.count(r.clock.now()) })
}

// RefreshFailing returns how many live policies of domains in use could not be
// renewed the last time.
func (r *Resolver) RefreshFailing() int { return r.cache.failing.count(r.clock.now()) }
