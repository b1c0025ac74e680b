package tlspolicy

import (
	"bytes"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

var _ Peeker = (*resolver.Resolver)(nil)

// peekable answers Peek alone; any other lookup is a mistake.
type peekable struct {
	fake
	peeked map[string]resolver.Answer
}

func (p *peekable) Peek(hop resolver.NextHop, _ time.Time) (resolver.Answer, bool) {
	a, ok := p.peeked[hop.Domain.String()]
	return a, ok
}

func (p *peekable) Cached(hop resolver.NextHop, _ time.Time) (resolver.Answer, bool) {
	p.t.Errorf("Cached(%v) was not expected", hop)
	return resolver.Answer{}, false
}

// The map peek is answered from memory, plainly, and neither counted nor logged.
func TestPeek(t *testing.T) {
	t.Parallel()
	policy := policy(t, enforce("mx.example"))
	partner, err := mtasts.ParseDomain("partner.example")
	if err != nil {
		t.Fatal(err)
	}
	for _, monitor := range []bool{false, true} {
		reg := prometheus.NewRegistry()
		var log bytes.Buffer
		h := NewHandler(&peekable{fake{t: t}, map[string]resolver.Answer{
			"enforce.example": {Policy: policy},
			"absent.example":  {},
			"dane.example":    {DANE: dane.Full, Policy: policy},
			"unclear.example": {DANE: dane.Unknown, Policy: policy},
		}}, Profile{Monitor: monitor, Overrides: Overrides{Exact: map[mtasts.Domain]Override{
			partner: {Reply: socketmap.Reply{Status: socketmap.OK, Data: []byte("encrypt")}},
		}}}, reg, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))).For(Socketmap)
		for key, want := range map[string]string{
			"enforce.example":       "OK secure match=mx.example servername=hostname",
			"[enforce.example]:587": "OK secure match=mx.example servername=hostname",
			"absent.example":        "NOTFOUND ",
			"dane.example":          "OK dane-only",
			"unclear.example":       "TEMP " + daneUnknown,
			"partner.example":       "OK encrypt",
			"unknown.example":       "TEMP memory does not know the domain",
			"localhost":             "NOTFOUND ",
		} {
			if monitor && key != "unknown.example" {
				want = "NOTFOUND "
			}
			if got := ask(h, PeekMap, key); got != want {
				t.Errorf("monitor %v, %s: %q, want %q", monitor, key, got, want)
			}
		}
		if n, err := testutil.GatherAndCount(reg, "mta_sts_lookups_total"); err != nil || n != int(numResults) {
			t.Errorf("%d series, %v", n, err)
		}
		for r := range numResults {
			if n := testutil.ToFloat64(h.lookups.results[r]); n != 0 {
				t.Errorf("%v lookups were counted as %v", n, resultLabels[r])
			}
		}
		if log.Len() > 0 {
			t.Errorf("logged: %s", log.String())
		}
	}
}
