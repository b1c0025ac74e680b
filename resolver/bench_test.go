package resolver

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// What a policy takes in memory: live heap, once the policy file has been asked
// for as many as fit.
func BenchmarkMemory(b *testing.B) {
	const policies = 100_000
	now := time.Now()
	path := filepath.Join(b.TempDir(), "policies.db")
	st, err := store.Open(path, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	domains := make([]mtasts.Domain, policies)
	for i := range domains {
		domains[i], _ = mtasts.ParseDomain(fmt.Sprintf("%08x.example.test", i))
		p, err := mtasts.ParsePolicy(fmt.Sprintf("version: STSv1\nmode: enforce\nmx: mx1.%[1]v\nmx: mx2.%[1]v\nmax_age: 604800\n", domains[i]))
		if err != nil {
			b.Fatal(err)
		}
		st.Put(store.Entry{Domain: domains[i], ID: "20260101000000", Policy: p, Fetched: now, Recheck: now, Used: now, Next: now.Add(24 * time.Hour)})
		if i%flushStep == 0 {
			st.Flush()
		}
	}
	st.Flush()
	var settings atomic.Pointer[Settings]
	settings.Store(&Settings{Entries: policies, NegativeEntries: 1, RefreshInterval: 24 * time.Hour, Idle: 24 * time.Hour})
	for b.Loop() {
		before := liveHeap()
		c := newCache(&settings, st, newClock(time.Now))
		for _, d := range domains {
			c.known(d.Clone(), c.clock.now())
		}
		b.ReportMetric(float64(liveHeap()-before)/policies, "B/policy")
		if n := c.policies.Len(); n != policies {
			b.Fatalf("%d of %d policies are in memory", n, policies)
		}
	}
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
