package resolver

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/store"
)

// BenchmarkMemory measures the memory of a policy: the live heap after lookups of
// as many policies of the file as fit into memory.
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
	domains := putPolicies(b, st, now, count)
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

// putPolicies puts so many policies into the store and returns their domains.
func putPolicies(b *testing.B, st *store.Store, now clock.Moment, count int) []mtasts.Domain {
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
	return domains
}

func liveHeap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// BenchmarkAbsence measures the first lookup of a domain without a record,
// without the DNS, which answers at once. The policy file has other domains.
func BenchmarkAbsence(b *testing.B) {
	for name, checker := range map[string]DANEChecker{"DANE=off": nil, "DANE=on": dane.New(noRecords{})} {
		b.Run(name, func(b *testing.B) { benchmarkAbsence(b, checker) })
	}
}

func benchmarkAbsence(b *testing.B, checker DANEChecker) {
	clk := clock.System()
	st, err := store.Open(filepath.Join(b.TempDir(), "policies.db"), clk, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	putPolicies(b, st, clk.Now(), 1000)
	r := New(Options{
		Settings: Settings{TXT: noRecords{}, MX: noRecords{}, DANE: checker, AnswerTimeout: time.Minute,
			Limits: policies.Limits{Entries: 1000, NegativeEntries: 1000, RefreshInterval: 24 * time.Hour, Idle: 24 * time.Hour}, Concurrency: 1},
		Clock: clk, Store: st, Logger: slog.New(slog.DiscardHandler),
	})
	defer r.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		d, _ := mtasts.ParseDomain(fmt.Sprintf("absent%d.example.test", i))
		done := make(chan error)
		go func() { // as the server does, with a stack that has to grow
			_, err := r.Resolve(b.Context(), NextHop{Domain: d, MX: true, Port: dane.SMTPPort})
			done <- err
		}()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

// noRecords is the DNS of domains that have one authenticated MX host and neither a
// policy nor TLSA records.
type noRecords struct{}

func (noRecords) TXT(context.Context, string) (dnsclient.Answer[string], error) {
	return dnsclient.Answer[string]{}, nil
}

func (noRecords) MX(context.Context, string) (dnsclient.Answer[dnsclient.MX], error) {
	return dnsclient.Answer[dnsclient.MX]{Records: []dnsclient.MX{{Host: "mx.example.test"}}, Authenticated: true}, nil
}

func (noRecords) Host(context.Context, string) (dnsclient.Host, error) {
	return dnsclient.Host{Canonical: "mx.example.test",
		Answer: dnsclient.Answer[netip.Addr]{Records: []netip.Addr{netip.IPv6Loopback()}, Authenticated: true}}, nil
}

func (noRecords) CNAME(context.Context, string) (dnsclient.Answer[string], error) {
	return dnsclient.Answer[string]{}, nil
}

func (noRecords) TLSA(context.Context, string) (dnsclient.Answer[dnsclient.TLSA], error) {
	return dnsclient.Answer[dnsclient.TLSA]{Authenticated: true}, nil
}
