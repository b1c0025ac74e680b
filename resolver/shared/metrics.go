package shared

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics count what every Client that is given them does.
type Metrics struct {
	reads    readCounters
	writes   writeCounters
	leases   leaseCounters
	messages messageCounters
	failing  prometheus.Gauge
}

type (
	readCounters    struct{ hit, miss, invalid, failed, skipped prometheus.Counter }
	writeCounters   struct{ kept, stale, failed, dropped prometheus.Counter }
	leaseCounters   struct{ granted, refused, failed, skipped prometheus.Counter }
	messageCounters struct{ valid, invalid prometheus.Counter }
)

// NewMetrics returns Metrics that reg collects. reg may be nil.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	factory := promauto.With(reg)
	operations := factory.NewCounterVec(prometheus.CounterOpts{
		Name: "mta_sts_shared_operations_total",
		Help: "Operations on the shared store, by operation and result. " +
			"read: hit, miss, invalid (not a value, or written with another key), failed, skipped (the store is not asked for a while after a failure). " +
			"write: kept, stale (the store had a newer one), failed (and retried), dropped (too many were waiting). " +
			"lease: granted, refused (another node refreshes), failed, skipped. " +
			"message of another node: valid, invalid.",
	}, []string{"operation", "result"})
	of := func(operation string) func(result string) prometheus.Counter {
		return func(result string) prometheus.Counter { return operations.WithLabelValues(operation, result) }
	}
	read, write, lease, message := of("read"), of("write"), of("lease"), of("message")
	return &Metrics{
		reads: readCounters{
			hit: read("hit"), miss: read("miss"), invalid: read("invalid"), failed: read("failed"), skipped: read("skipped"),
		},
		writes: writeCounters{
			kept: write("kept"), stale: write("stale"), failed: write("failed"), dropped: write("dropped"),
		},
		leases: leaseCounters{
			granted: lease("granted"), refused: lease("refused"), failed: lease("failed"), skipped: lease("skipped"),
		},
		messages: messageCounters{valid: message("valid"), invalid: message("invalid")},
		failing: factory.NewGauge(prometheus.GaugeOpts{
			Name: "mta_sts_shared_failing",
			Help: "1 while the shared store cannot be read or written, else 0.",
		}),
	}
}
