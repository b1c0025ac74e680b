package shared

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	s := start(t, anyServer(t))
	reg := prometheus.NewRegistry()
	n := join(t, s.url(), func(o *Options) { o.Metrics = NewMetrics(reg) })
	s.listening(t, 1)
	ctx, d := t.Context(), domain(t, "example.com")
	n.Get(ctx, d)
	n.Put(d, fetched(t, "2", time.Minute))
	n.Put(d, fetched(t, "1", time.Hour))
	n.settle(t)
	n.Get(ctx, d)
	n.Lease(ctx, d)
	n.Lease(ctx, d)
	s.do(t, "SET", "mta-sts:example.org", "x")
	n.Get(ctx, domain(t, "example.org"))
	s.do(t, "PUBLISH", "mta-sts:changes", "x")
	eventually(t, "all messages are counted", func() bool { return testutil.ToFloat64(n.metrics.messages.invalid) == 1 })

	for _, want := range []string{
		"lease failed 0", "lease granted 1", "lease refused 1", "lease skipped 0",
		"message invalid 1", "message valid 1",
		"read failed 0", "read hit 1", "read invalid 1", "read miss 1", "read skipped 0",
		"write dropped 0", "write failed 0", "write kept 1", "write stale 1",
	} {
		if got := counted(t, reg); !slices.Contains(got, want) {
			t.Errorf("%s is missing in %q", want, got)
		}
	}

	s.kill()
	failing := func() float64 { return testutil.ToFloat64(n.metrics.failing) }
	eventually(t, "the gauge shows that the store fails", func() bool { return failing() == 1 })
	n.Close()
	if failing() != 0 {
		t.Error("a store that is not used any more fails")
	}
}

// counted returns the operations that reg has, as "operation result count".
func counted(t *testing.T, reg *prometheus.Registry) (lines []string) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.Metric {
			if len(m.Label) == 2 {
				lines = append(lines, fmt.Sprintf("%s %s %v", m.Label[0].GetValue(), m.Label[1].GetValue(), m.Counter.GetValue()))
			}
		}
	}
	return lines
}
