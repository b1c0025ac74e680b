package tlspolicy

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/socketmap"
)

// Each kind of lookup counts once, whatever way it was answered, and only what
// waited is timed. Monitor mode counts what would have been answered.
func TestMetrics(t *testing.T) {
	policy := policy(t, enforce("mx.example"))
	for _, monitor := range []bool{false, true} {
		reg := prometheus.NewRegistry()
		base := NewHandler(&fake{t: t,
			known: map[string]resolver.Answer{
				"enforce.example": {Policy: policy},
				"absent.example":  {},
				"dane.example":    {DANE: dane.Partial},
				"both.example":    {DANE: dane.Full, Policy: policy},
				"unknown.example": {DANE: dane.Unknown, Policy: policy},
			},
			slow: map[string]resolver.Answer{"slow.example": {Policy: policy}, "slow-absent.example": {}},
		}, Profile{Monitor: monitor, Overrides: overrides(t, map[string]string{"partner.example": "encrypt", "broken.example": ""})}, reg, slog.New(slog.DiscardHandler))
		socketmaps, tables := base.For(Socketmap), base.For(TCPTable)
		for _, key := range []string{
			"enforce.example", "slow.example", // secure
			"absent.example", "slow-absent.example", "localhost", // notfound
			"dane.example", "both.example", // dane
			"unknown.example",                   // temp
			"partner.example", "broken.example", // override
		} {
			ask(socketmaps, "postfix", key)
		}
		ask(tables, "", "enforce.example")
		ask(base, "postfix", "enforce.example")

		const want = `
# HELP mta_sts_lookups_total Postfix's lookups, by protocol and by what was found: secure (an MTA-STS policy), dane, override (of the configuration), notfound or temp (mail is deferred); in monitor mode, by what would have been answered.
# TYPE mta_sts_lookups_total counter
mta_sts_lookups_total{protocol="socketmap",result="dane"} 2
mta_sts_lookups_total{protocol="socketmap",result="notfound"} 3
mta_sts_lookups_total{protocol="socketmap",result="override"} 2
mta_sts_lookups_total{protocol="socketmap",result="secure"} 2
mta_sts_lookups_total{protocol="socketmap",result="temp"} 1
mta_sts_lookups_total{protocol="tcp_table",result="dane"} 0
mta_sts_lookups_total{protocol="tcp_table",result="notfound"} 0
mta_sts_lookups_total{protocol="tcp_table",result="override"} 0
mta_sts_lookups_total{protocol="tcp_table",result="secure"} 1
mta_sts_lookups_total{protocol="tcp_table",result="temp"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mta_sts_lookups_total"); err != nil {
			t.Errorf("monitor %v: %v", monitor, err)
		}
		if n := timed(t, reg); n != 2 {
			t.Errorf("monitor %v: %d lookups timed, want the two that waited", monitor, n)
		}
	}
}

// What cannot be known, or is too long, is mail deferred.
func TestMetricsOfTemp(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := NewHandler(&fake{t: t, err: fmt.Errorf("%w: SERVFAIL", resolver.ErrDANEUnknown),
		known: map[string]resolver.Answer{"long.example": {Policy: policy(t, enforce("mx.example"))}},
	}, Profile{}, reg, slog.New(slog.DiscardHandler)).For(TCPTable)
	ask(h, "", "slow.example")
	h.Answer(nil, &socketmap.Request{Key: "long.example", Fits: within(10)})
	if n := testutil.ToFloat64(h.lookups.results[resultTemp]); n != 2 {
		t.Errorf("%v lookups counted as temp, want 2", n)
	}
}

// timed returns how many lookups the histogram has.
func timed(t *testing.T, reg prometheus.Gatherer) uint64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "mta_sts_lookup_duration_seconds" {
			return f.GetMetric()[0].GetHistogram().GetSampleCount()
		}
	}
	t.Fatal("no histogram")
	return 0
}
