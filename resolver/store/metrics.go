package store

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Register has reg collect the Store's metrics, once for each Store.
func (s *Store) Register(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mta_sts_policies_stored",
		Help: "Policies in the policy file, those that expired within the last 30 days included.",
	}, func() float64 { return float64(s.Len()) })
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "mta_sts_store_errors_total",
		Help: "Attempts to open or write the policy file that failed, and times that it or policies in it were found damaged.",
	}, func() float64 { return float64(s.errors.Load()) })
}
