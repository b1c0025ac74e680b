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

// result is what a lookup came to, as the metrics have it.
type result int

const (
	resultNotFound result = iota
	resultSecure
	resultDANE
	resultOverride
	resultTemp
	numResults
)

// resultNames are the values of the label result.
var resultNames = [numResults]string{
	resultNotFound: "notfound",
	resultSecure:   "secure",
	resultDANE:     "dane",
	resultOverride: "override",
	resultTemp:     "temp",
}

// metrics are those of a Handler and all that For makes of it.
type metrics struct {
	lookups  *prometheus.CounterVec
	duration prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) *metrics {
	return &metrics{
		lookups: promauto.With(reg).NewCounterVec(prometheus.CounterOpts{
			Name: "mta_sts_lookups_total",
			Help: "Postfix's lookups, by protocol and by what was found: secure (an MTA-STS policy), dane, override (of the configuration), notfound or temp (mail is deferred); in monitor mode, by what would have been answered.",
		}, []string{"protocol", "result"}),
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
	for r, name := range resultNames {
		l.results[r] = m.lookups.WithLabelValues(protocol, name)
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
