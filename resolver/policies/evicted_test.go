package policies

import (
	"fmt"
	"log/slog"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func TestFailuresReachTheEntryThatWasLoadedAgain(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		stale := b.Put(a, fetch(t, "1", "enforce", 864000))
		for i := range 5 {
			b.Put(domain(t, fmt.Sprintf("d%d.example", i)), fetch(t, "1", "enforce", 864000))
		}
		b.Get(a)
		b.RefreshFailed(a, stale, b.Fail(a, "sts-webpki-invalid", "expired", "1"), b.clock.Now())
		if s, _ := b.st.Get(a); s.Failures != 1 || s.FailedWord != "sts-webpki-invalid" {
			t.Errorf("saved: %+v", s)
		}
		if c := b.Counts(); c.Failing != 1 {
			t.Errorf("counts: %+v", c)
		}
	})
}

// The failure of a policy that memory evicts during the next attempt counts like any other.
func TestFailuresOfAnEvictedPolicyCount(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		b.RefreshFailed(a, b.Put(a, fetch(t, "1", "enforce", 864000)), b.Fail(a, "w", "r", "2"), b.clock.Now())
		evict := func() {
			for i := range 5 {
				b.Put(domain(t, fmt.Sprintf("d%d.example", i)), fetch(t, "1", "enforce", 864000))
			}
		}
		evict()
		if f := b.FailureOf(a, "2"); f == nil {
			t.Error("the failure is not known, so the id is fetched again at once")
		}
		evict()
		if f := b.Fail(a, "w", "r", "2"); f.Count != 2 {
			t.Errorf("%d attempts have failed, want 2", f.Count)
		}
	})
}

// A verdict and the policy next to which it is stored may come at the same time.
func TestVerdictComesWithPolicy(t *testing.T) {
	b := newBench(t, limits())
	for i := range 2000 {
		d := domain(t, fmt.Sprintf("d%d.example", i))
		var both sync.WaitGroup
		both.Go(func() { b.Put(d, fetch(t, "1", "enforce", 864000)) })
		both.Go(func() {
			b.verdicts.Restore(d, []store.Verdict{{MX: true, Port: 25, Kind: 1}})
			b.SaveVerdicts(d)
		})
		both.Wait()
		if s, _ := b.st.Get(d); len(s.Verdicts) != 1 {
			t.Fatalf("%v: stored with verdicts %v", d, s.Verdicts)
		}
	}
}

// A file that takes the place of the one in use may have policies that that one lacked.
func TestAnotherFileHasThePolicy(t *testing.T) {
	t.Parallel()
	clk := clock.System()
	open := func(path string) (*store.Store, *Table) {
		st, err := store.Open(path, clk, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { st.Close() })
		return st, New(Options{Clock: clk, Store: st, Verdicts: &stored{by: map[mtasts.Domain][]store.Verdict{}}, Limits: limits(), Logger: slog.New(slog.DiscardHandler)})
	}
	a, dir := domain(t, "a.example"), t.TempDir()
	saved, inUse := filepath.Join(dir, "saved.db"), filepath.Join(dir, "policies.db")
	st, table := open(saved)
	table.Put(a, fetch(t, "1", "enforce", 864000))
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	st, table = open(inUse)
	if e := table.Get(a); e != nil {
		t.Fatalf("%v before there is a policy", e)
	}
	if err := os.Rename(saved, inUse); err != nil {
		t.Fatal(err)
	}
	if err := st.Flush(); err != nil {
		t.Fatal(err)
	}
	if table.Get(a) == nil {
		t.Error("the policy of the restored file was not found")
	}
}

// A lookup counts as use also if memory evicts the entry that answers it before the use is
// noted.
func TestUseOfAnEvictedEntry(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := limits()
		l.Entries = 1
		b.Configure(l)
		d := domain(t, "a.example")
		b.Put(d, fetch(t, "1", "enforce", 100*86400))
		time.Sleep(15 * day) // out of use
		e := b.Get(d)
		b.Put(domain(t, "b.example"), fetch(t, "1", "enforce", 100*86400))
		b.Use(d, e, b.clock.Now())
		if !b.Get(d).inUse(b.clock.Now(), &l) {
			t.Error("the domain counts as out of use")
		}
	})
}

// A refresh that was put off is not due again because memory evicted the policy.
func TestPostponedRefreshOutlivesEviction(t *testing.T) {
	for _, mode := range []string{"enforce", "testing"} {
		t.Run(mode, func(t *testing.T) { testPostponedRefresh(t, mode) })
	}
}

func testPostponedRefresh(t *testing.T, mode string) {
	onBench(t, func(t *testing.T, b *bench) {
		l := limits()
		l.Entries = 1
		b.Configure(l)
		d := domain(t, "a.example")
		e := b.Put(d, fetch(t, "1", mode, 10*86400))
		time.Sleep(27 * time.Hour) // due for more than the spread
		b.Postpone(d, e, 5*time.Minute, errTest)
		b.Put(domain(t, "b.example"), fetch(t, "1", "enforce", 10*86400))
		if b.Get(d).RefreshDue(b.clock.Now()) {
			t.Error("the refresh is due at once")
		}
		time.Sleep(9*day - 3*time.Hour - time.Minute) // its end is nearer than the next attempt
		b.Postpone(d, b.Get(d), 5*time.Minute, errTest)
		b.Get(domain(t, "b.example"))
		if b.Get(d).RefreshDue(b.clock.Now()) {
			t.Error("the refresh is due at once before the policy's end")
		}
	})
}

// How long refreshes have been refused for load, and how long another node has had the
// lease, outlives an eviction.
func TestRefusalsOutliveEviction(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		l := limits()
		l.Entries = 1
		b.Configure(l)
		d, other := domain(t, "a.example"), domain(t, "b.example")
		b.Put(d, fetch(t, "1", "enforce", 10*86400))
		b.Put(other, fetch(t, "1", "enforce", 10*86400))
		time.Sleep(27 * time.Hour)
		refresh := false
		for range 7 * 60 {
			refresh = refresh || b.MayRefresh(d, b.Get(d), func() bool { return false }, 20*time.Minute)
			b.Postpone(d, b.Get(d), ShortPause, errTest)
			b.Get(other)
			time.Sleep(time.Minute + time.Second)
		}
		if !refresh {
			t.Error("it is never refreshed without a lease")
		}
		if k, _ := b.Known(d); k.Failure == nil {
			t.Error("no failure is known after 7 hours")
		}
		if f := b.Fail(d, "sts-policy-invalid", "", "1"); f.Count != 1 {
			t.Errorf("the first failure of the domain's own counts as %d", f.Count)
		}
	})
}
