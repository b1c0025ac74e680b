package outcomes_test

import (
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mta-sts-daemon/cmd/internal/outcomes"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	tally := tallyOf(outcomes.Options{Policies: policies{"a.test": outcomes.PolicySTS}, Follow: true},
		smtp1+"Q1: to=<x@a.test>"+toMX+sentOK+
			smtp1+"Q0: to=<x@a.test>, relay=none"+delays+", dsn=4.7.4, status=deferred (TLS is required, but was not offered by host mx.a.test)")
	registry := prometheus.NewRegistry()
	registry.MustRegister(tally)
	metrics := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	value := func(name string, labels ...string) string {
		page := httptest.NewRecorder()
		metrics.ServeHTTP(page, httptest.NewRequest("GET", "/metrics", nil))
		for line := range strings.Lines(page.Body.String()) {
			matches := strings.HasPrefix(line, name)
			for _, label := range labels {
				matches = matches && strings.Contains(line, `"`+label+`"`)
			}
			if matches {
				return line[strings.LastIndexByte(line, ' ')+1 : len(line)-1]
			}
		}
		return "missing"
	}
	check := func(want string, name string, labels ...string) {
		t.Helper()
		if got := value(name, labels...); got != want {
			t.Errorf("%s%q is %s, want %s", name, labels, got, want)
		}
	}
	const deliveries, failures, enforced = "mta_sts_deliveries_total", "mta_sts_delivery_failures_total", "mta_sts_deliveries_enforced_total"
	check("1", deliveries, "sts", "unknown", "sent")
	check("0", deliveries, "sts", "none", "sent")
	check("0", deliveries, "dane", "verified", "bounced") // there from the start
	check("1", deliveries, "sts", "unknown", "deferred")
	check("0", failures, "handshake")
	check("1", failures, "no-starttls")
	check("0", enforced, "failure")
	check("1", "mta_sts_log_blind")
	check("2", "mta_sts_log_lines_total")

	// After a TLS line, earlier deliveries stay unknown: a counter does not fall, and those
	// of enforcement do not jump.
	tally.Line(strings.TrimSuffix(smtp1+verifiedMX, "\n"))
	tally.Line(strings.TrimSuffix(smtp1+"Q2: to=<x@a.test>"+toMX+", dsn=4.7.5, status=deferred (Server certificate not verified)", "\n"))
	check("1", deliveries, "sts", "unknown", "sent")
	check("1", deliveries, "sts", "unknown", "deferred")
	check("0", deliveries, "sts", "none", "sent")
	check("1", failures, "certificate")
	check("1", failures, "no-starttls")
	check("1", enforced, "failure")
	tally.Line(strings.TrimSuffix(smtp2+"Q3: to=<x@a.test>"+toMX+sentOK, "\n"))
	check("1", deliveries, "sts", "none", "sent")
	check("2", enforced, "failure")
	check("0", "mta_sts_log_blind")
	if problems, err := testutil.CollectAndLint(tally); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
}
