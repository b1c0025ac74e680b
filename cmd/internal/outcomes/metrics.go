package outcomes

import "github.com/prometheus/client_golang/prometheus"

var (
	deliveriesDesc = prometheus.NewDesc("mta_sts_deliveries_total",
		"Delivery attempts of Postfix, one for each recipient, by policy, TLS of the connection and status.",
		[]string{"policy", "tls", "status"}, nil)
	failuresDesc = prometheus.NewDesc("mta_sts_delivery_failures_total",
		"Delivery attempts that failed because of TLS, by reason.", []string{"reason"}, nil)
	enforcedDesc = prometheus.NewDesc("mta_sts_deliveries_enforced_total",
		"Delivery attempts under a policy: success (verified connection) or failure (failed because of TLS, or sent without TLS). Attempts that failed before TLS are not counted.",
		[]string{"result"}, nil)
	linesDesc = prometheus.NewDesc("mta_sts_log_lines_total",
		"Lines of Postfix's log that were counted.", nil, nil)
	blindDesc = prometheus.NewDesc("mta_sts_log_blind",
		"1 if the log has deliveries but nothing about TLS: smtp_tls_loglevel is 0.", nil, nil)
)

// Describe implements prometheus.Collector.
func (t *Tally) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{deliveriesDesc, failuresDesc, enforcedDesc, linesDesc, blindDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector. Every series is there from the start,
// so that its first increase is seen.
func (t *Tally) Collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	deliveries := t.settled()
	for p := range numPolicies {
		for tls := range numTLS {
			for s := range numStatuses {
				counter(deliveriesDesc, deliveries[deliveryKey{p, tls, s}], p.String(), tls.String(), s.String())
			}
		}
	}
	for r := noReason + 1; r < numReasons; r++ {
		counter(failuresDesc, t.failures[r], r.String())
	}
	success, failure := t.enforced()
	counter(enforcedDesc, success, "success")
	counter(enforcedDesc, failure, "failure")
	counter(linesDesc, t.lines)
	blind := 0.0
	if len(deliveries) > 0 && t.blind() {
		blind = 1
	}
	ch <- prometheus.MustNewConstMetric(blindDesc, prometheus.GaugeValue, blind)
}
