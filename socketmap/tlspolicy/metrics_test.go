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
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/socketmap"
)

// Each kind of lookup counts once, whatever way it was answered, and only what
// waited is timed. Monitor mode counts what would have been answered.
func TestMetrics(t *testing.T) {
	policy, testing := policy(t, enforce("mx.example")), policy(t, "version: STSv1\nmode: testing\nmx: mx.example\nmax_age: 86400\n")
	none := &mtasts.Policy{Mode: mtasts.ModeNone}
	for _, monitor := range []bool{false, true} {
		reg := prometheus.NewRegistry()
		base := NewHandler(&fake{t: t,
			known: map[string]resolver.Answer{
				"enforce.example": {Policy: policy},
				"absent.example":  {Without: policies.StateAbsent},
				"broken.example":  {Without: policies.StateBroken},
				"testing.example": {Policy: testing},
				"none.example":    {Policy: none},
				"dane.example":    {DANE: dane.Partial},
				"both.example":    {DANE: dane.Full, Policy: policy},
				"unknown.example": {DANE: dane.Unknown, Policy: policy},
			},
			slow: map[string]resolver.Answer{"slow.example": {Policy: policy}, "slow-absent.example": {}}, // unknown
		}, Profile{Monitor: monitor, Overrides: overrides(t, map[string]string{"partner.example": "encrypt", "excepted.example": ""})}, reg, slog.New(slog.DiscardHandler))
		socketmaps, tables := base.For(Socketmap), base.For(TCPTable)
		for _, key := range []string{
			"enforce.example", "slow.example", // secure
			"absent.example", "slow-absent.example", "broken.example", "testing.example", "none.example", // notfound
			"localhost", "a.onion", "192.0.2.1", // notfound, no-domain
			"dane.example", "both.example", // dane and dane-only
			"unknown.example",                     // temp
			"partner.example", "excepted.example", // override
		} {
			ask(socketmaps, "postfix", key)
		}
		ask(tables, "", "enforce.example")
		ask(base, "postfix", "enforce.example")

		const want = `
# HELP mta_sts_lookups_total Postfix's lookups, by protocol and answer: secure (an MTA-STS policy), dane-only, dane, override (from the configuration), temp (mail is deferred) or notfound. The reason of notfound: absent (the domain has no record), broken (it announces a policy that cannot be used), unknown (no result in time), testing or none (the policy's mode), no-domain (the key is not a name that can have a policy). In mode monitor, by the answer that mode enforce would give.
# TYPE mta_sts_lookups_total counter
mta_sts_lookups_total{protocol="socketmap",reason="",result="dane"} 1
mta_sts_lookups_total{protocol="socketmap",reason="",result="dane-only"} 1
mta_sts_lookups_total{protocol="socketmap",reason="",result="override"} 2
mta_sts_lookups_total{protocol="socketmap",reason="",result="secure"} 2
mta_sts_lookups_total{protocol="socketmap",reason="",result="temp"} 1
mta_sts_lookups_total{protocol="socketmap",reason="absent",result="notfound"} 1
mta_sts_lookups_total{protocol="socketmap",reason="broken",result="notfound"} 1
mta_sts_lookups_total{protocol="socketmap",reason="no-domain",result="notfound"} 3
mta_sts_lookups_total{protocol="socketmap",reason="none",result="notfound"} 1
mta_sts_lookups_total{protocol="socketmap",reason="testing",result="notfound"} 1
mta_sts_lookups_total{protocol="socketmap",reason="unknown",result="notfound"} 1
mta_sts_lookups_total{protocol="tcp_table",reason="",result="dane"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="",result="dane-only"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="",result="override"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="",result="secure"} 1
mta_sts_lookups_total{protocol="tcp_table",reason="",result="temp"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="absent",result="notfound"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="broken",result="notfound"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="no-domain",result="notfound"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="none",result="notfound"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="testing",result="notfound"} 0
mta_sts_lookups_total{protocol="tcp_table",reason="unknown",result="notfound"} 0
`
		if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "mta_sts_lookups_total"); err != nil {
			t.Errorf("monitor %v: %v", monitor, err)
		}
		if n := timed(t, reg); n != 2 {
			t.Errorf("monitor %v: %d lookups timed, want the two that waited", monitor, n)
		}
	}
}

// If the answer cannot be known or is too long, mail is deferred.
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
