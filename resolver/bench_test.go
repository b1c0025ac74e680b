package resolver

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/store"
)

// What a policy takes in memory: live heap, once the policy file has been asked
// for as many as fit.
func BenchmarkMemory(b *testing.B) {
	const count = 100_000
	clk := clock.System()
	now := clk.Now()
	path := filepath.Join(b.TempDir(), "policies.db")
	st, err := store.Open(path, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	domains := make([]mtasts.Domain, count)
	for i := range domains {
		domains[i], _ = mtasts.ParseDomain(fmt.Sprintf("%08x.example.test", i))
		p, err := mtasts.ParsePolicy(fmt.Sprintf("version: STSv1\nmode: enforce\nmx: mx1.%[1]v\nmx: mx2.%[1]v\nmax_age: 604800\n", domains[i]))
		if err != nil {
			b.Fatal(err)
		}
		st.Put(store.Entry{Domain: domains[i], ID: "20260101000000", Policy: p, Fetched: store.Fetched{Wall: time.Now(), At: now, ThisBoot: true},
			Recheck: now, Used: now, Next: now.Add(24 * time.Hour)})
		if i%1000 == 0 {
			st.Flush()
		}
	}
	st.Flush()
	for b.Loop() {
		before := liveHeap()
		t := policies.New(policies.Options{Clock: clk, Store: st, Verdicts: dane.NewCache(clk, 1),
			Limits: policies.Limits{Entries: count, NegativeEntries: 1, RefreshInterval: 24 * time.Hour, Idle: 24 * time.Hour},
			Logger: slog.New(slog.DiscardHandler)})
		for _, d := range domains {
			t.Get(d.Clone())
		}
		b.ReportMetric(float64(liveHeap()-before)/count, "B/policy")
		for _, d := range domains {
			if t.Live(d, now) == nil {
				b.Fatalf("%v is not in memory", d)
			}
		}
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
