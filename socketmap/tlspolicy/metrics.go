package tlspolicy

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Protocols by which lookups come, for Handler.For.
const (
	Socketmap = "socketmap"
	TCPTable  = "tcp_table"
)

// LookupsMetric is the name of the counter of lookups; ResultLabel and
// ReasonLabel are its labels, which hold the result.
const (
	LookupsMetric = "mta_sts_lookups_total"
	ResultLabel   = "result"
	ReasonLabel   = "reason"
)

// result is the result of a lookup, as in the metrics.
type result int

const (
	resultSecure result = iota
	resultDANEOnly
	resultDANE
	resultOverride
	resultTemp

	// The reasons of NOTFOUND.
	resultAbsent   // the domain has no record
	resultBroken   // the domain announces a policy that cannot be used
	resultUnknown  // nothing could be learned in time
	resultTesting  // the policy's mode
	resultNone     // the policy's mode
	resultNoDomain // the key is not a name that can have a policy

	numResults
)

// resultLabels are the values of the labels result and reason.
var resultLabels = [numResults]struct{ result, reason string }{
	resultSecure:   {"secure", ""},
	resultDANEOnly: {"dane-only", ""},
	resultDANE:     {"dane", ""},
	resultOverride: {"override", ""},
	resultTemp:     {"temp", ""},
	resultAbsent:   {"notfound", "absent"},
	resultBroken:   {"notfound", "broken"},
	resultUnknown:  {"notfound", "unknown"},
	resultTesting:  {"notfound", "testing"},
	resultNone:     {"notfound", "none"},
	resultNoDomain: {"notfound", "no-domain"},
}

// metrics are those of a Handler and all that For makes of it.
type metrics struct {
	lookups  *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		lookups: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: LookupsMetric,
			Help: "Postfix's lookups, by protocol and by the answer: secure (an MTA-STS policy), dane-only, dane, override (of the configuration), temp (mail is deferred) or notfound, with its reason: absent (the domain has no record), broken (it announces a policy that cannot be used), unknown (nothing could be learned in time), testing or none (the policy's mode), no-domain (the key is no name that can have a policy). In mode monitor, by what would have been answered.",
		}, []string{"protocol", ResultLabel, ReasonLabel}),
		duration: promauto.With(reg).NewHistogram(prometheus.HistogramOpts{
			Name:    "mta_sts_lookup_duration_seconds",
			Help:    "How long the lookups took that memory could not answer at once.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}),
	}
}

// lookups counts those of one protocol; nil counts nothing.
type lookups struct {
	results  [numResults]prometheus.Counter
	duration prometheus.Observer
}

func (m *metrics) of(protocol string) *lookups {
	l := &lookups{duration: m.duration}
	for r, values := range resultLabels {
		l.results[r] = m.lookups.WithLabelValues(protocol, values.result, values.reason)
	}
	return l
}

// count counts a lookup that memory answered.
func (l *lookups) count(r result) {
	if l != nil {
		l.results[r].Inc()
	}
}

// countAfter counts one that had to wait.
func (l *lookups) countAfter(wait time.Duration, r result) {
	if l != nil {
		l.results[r].Inc()
		l.duration.Observe(wait.Seconds())
	}
}
