// Package monitor is what monitoring sees of the daemon: its metrics and
// whether it is well.
package monitor

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics are those of one daemon. The libraries register theirs in Registry;
// those of the program and its process are there from the start.
type Metrics struct {
	Registry *prometheus.Registry
	reload   prometheus.Gauge
}

// NewMetrics returns the Metrics of a daemon of that version that has loaded its
// configuration.
func NewMetrics(version string) *Metrics {
	reg := prometheus.NewRegistry()
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	promauto.With(reg).NewGauge(prometheus.GaugeOpts{
		Name:        "mta_sts_build_info",
		Help:        "Always 1; the labels are the version and the version of Go that built it.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": runtime.Version()},
	}).Set(1)
	m := &Metrics{
		Registry: reg,
		reload: promauto.With(reg).NewGauge(prometheus.GaugeOpts{
			Name: "mta_sts_config_last_reload_successful",
			Help: "1, or 0 if the last reload refused the configuration and the previous one is in force.",
		}),
	}
	m.Reloaded(nil)
	return m
}

// Reloaded notes how a reload ended.
func (m *Metrics) Reloaded(err error) {
	if err != nil {
		m.reload.Set(0)
	} else {
		m.reload.Set(1)
	}
}
