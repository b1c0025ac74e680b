package daemon

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/monitor"
	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Dashboards and alerts of others rely on these names and labels: none may go
// or change. Labels have few values, never domains.
func TestMetricNames(t *testing.T) {
	t.Parallel()
	cfg := config.Default()
	cfg.Cache.File = config.MemoryOnly
	cfg.Cache.Shared.URL = "redis://127.0.0.1:1"
	cfg.DNS.DANE = config.DANEOff
	d, err := newDaemon(t.Context(), cfg, cfg.Listen, monitor.NewMetrics("1.2.3"), nil, newLogging(cfg.Log, io.Discard, io.Discard))
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	d.handler.For(tlspolicy.Socketmap)
	d.handler.For(tlspolicy.TCPTable)

	families, err := d.metrics.Registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var got, states []string
	for _, f := range families {
		if !strings.HasPrefix(f.GetName(), "mta_sts_") {
			continue
		}
		var labels []string
		for _, label := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		if f.GetName() == "mta_sts_policies" {
			for _, m := range f.GetMetric() {
				states = append(states, m.GetLabel()[0].GetValue())
			}
		}
		got = append(got, fmt.Sprintf("%s{%s}", f.GetName(), strings.Join(labels, ",")))
		if n := len(f.GetMetric()); n > 25 {
			t.Errorf("%s has %d time series", f.GetName(), n)
		}
	}
	want := []string{
		"mta_sts_build_info{goversion,version}",
		"mta_sts_cache_entries{kind}",
		"mta_sts_cache_requests_total{result}",
		"mta_sts_config_last_reload_successful{}",
		"mta_sts_connections_max{}",
		"mta_sts_connections{}",
		"mta_sts_discoveries_total{result}",
		"mta_sts_dns_queries_total{result,type}",
		"mta_sts_lookup_duration_seconds{}",
		"mta_sts_lookups_total{protocol,reason,result}",
		"mta_sts_policies_expiring{within}",
		"mta_sts_policies_mx_mismatch{}",
		"mta_sts_policies_refresh_failing{}",
		"mta_sts_policies_stored{}",
		"mta_sts_policies{state}",
		"mta_sts_policy_downgrades_total{}",
		"mta_sts_policy_fetch_duration_seconds{}",
		"mta_sts_policy_fetches_total{result}",
		"mta_sts_policy_hosts_unreachable{}",
		"mta_sts_refreshes_total{result}",
		"mta_sts_shared_failing{}",
		"mta_sts_shared_operations_total{operation,result}",
		"mta_sts_store_errors_total{}",
		"mta_sts_tlsrpt_datagrams_total{result}",
		"mta_sts_trouble{kind}",
	}
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, s := range states {
		if !slices.Contains(admin.States(), s) {
			t.Errorf("the state %s is not one of policies --state", s)
		}
	}
	problems, err := testutil.GatherAndLint(d.metrics.Registry)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
}
