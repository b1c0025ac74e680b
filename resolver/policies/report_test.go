package policies

import (
	"fmt"
	"log/slog"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"
)

func TestWatchedIsBounded(t *testing.T) {
	b := newBench(t, limits())
	e := &Entry{trouble: &noTrouble}
	e.mismatch.Set(1)
	e.expires.Set(clock.Never)
	for i := range maxWatched + 10 {
		b.watch(domain(t, fmt.Sprintf("d%d.example", i)), e, 0)
	}
	if c := b.Counts(); c.Mismatched != maxWatched {
		t.Errorf("%d counted, want %d", c.Mismatched, maxWatched)
	}
}

// The history and the log have each change once.
func TestChangesAreRecorded(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		start := time.Now().Add(-time.Second)
		next := func() { time.Sleep(2 * time.Millisecond) } // or their order is not defined
		e := b.Put(a, fetch(t, "1", "enforce", 864000))
		next()
		for range 2 {
			b.RefreshFailed(a, e, b.Fail(a, "w", "refused", "1"), 0)
		}
		next()
		e = b.Put(a, fetch(t, "1", "enforce", 864000))
		next()
		for range 2 {
			b.JudgeMX(a, []string{"other.example"}, b.clock.Now())
		}
		next()
		b.JudgeMX(a, []string{"mx.example"}, b.clock.Now())
		next()
		for range 2 {
			b.RecordGone(a, e, errTest)
		}
		b.RecordFound(a, e)
		next()
		b.Put(a, fetch(t, "2", "enforce", 86400))
		next()
		b.Put(a, fetch(t, "3", "testing", 86400))
		next()
		b.Put(a, fetch(t, "4", "enforce", 86400))
		time.Sleep(25 * time.Hour)
		broken := b.Fail(a, "w", "refused", "4")
		b.PutIgnorance(a, Ignorance{Reason: errTest}) // the end
		next()
		for range 2 {
			b.PutAbsence(a, Absence{Until: b.clock.Now(), Failure: broken, Reason: errTest})
		}
		next()
		b.Forget(a, func(*Entry) bool { return true })
		next()
		b.Put(a, fetch(t, "5", "enforce", 86400))
		next()
		b.ForgetAll(1)
		var got []store.ChangeKind
		changes, complete := b.st.Changes(start)
		for _, c := range changes {
			got = append(got, c.Kind)
		}
		want := []store.ChangeKind{ // the newest first
			store.ChangePurged, store.ChangeFound, store.ChangePurged, store.ChangeBroken, store.ChangeExpired, store.ChangeChanged, store.ChangeDowngraded, store.ChangeChanged,
			store.ChangeRecovered, store.ChangeMismatchEnded, store.ChangeMismatch, store.ChangeRecovered, store.ChangeBroken, store.ChangeFound,
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("history %v, want %v", got, want)
		}
		if complete.After(start.Add(2 * time.Second)) {
			t.Errorf("complete from %v, want %v", complete, start)
		}
		for message, times := range map[string]int{"Policy found": 2, "cannot be refreshed": 1, "refreshed again": 2, "matches none": 1,
			"matches an MX host again": 1, "Record gone": 1, "Policy changed": 2, "no longer enforced": 1, "could not be fetched": 1,
			"Policy expired": 1, "All policies purged": 1} {
			b.wantLogged(t, message, times)
		}
	})
}

// BenchmarkCensus counts 100,000 policies of a file.
func BenchmarkCensus(b *testing.B) {
	clk := clock.System()
	st, err := store.Open(filepath.Join(b.TempDir(), "policies.db"), clk, slog.New(slog.DiscardHandler))
	if err != nil {
		b.Fatal(err)
	}
	defer st.Close()
	policy, err := mtasts.ParsePolicy("version: STSv1\nmode: enforce\nmx: mx1.example.com\nmx: mx2.example.com\nmax_age: 604800\n")
	if err != nil {
		b.Fatal(err)
	}
	for i := range 100_000 {
		d, err := mtasts.ParseDomain(fmt.Sprintf("d%d.example", i))
		if err != nil {
			b.Fatal(err)
		}
		st.Put(store.Entry{Domain: d, ID: "1", Policy: policy, Fetched: store.Fetched{Wall: time.Now(), At: clk.Now(), ThisBoot: true}})
		if i%1000 == 0 {
			if err := st.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	t := New(Options{Clock: clk, Store: st, Verdicts: &stored{by: map[mtasts.Domain][]store.Verdict{}}, Limits: limits(), Logger: slog.New(slog.DiscardHandler)})
	cpu := func() time.Duration {
		var used syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
			b.Fatal(err)
		}
		return time.Duration(used.Utime.Nano() + used.Stime.Nano())
	}
	start := cpu()
	for b.Loop() {
		t.scan(nil, func(store.Entry) {})
	}
	b.ReportMetric((cpu()-start).Seconds()*1000/float64(b.N), "cpu-ms/op")
	if got := t.Census().States[StateEnforce]; got != 100_000 {
		b.Errorf("%d policies counted", got)
	}
}

// A domain fails since the first of its failures, also if a new id fails too. The attempts
// for one id are counted.
func TestFailuresInARow(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a, since := domain(t, "a.example"), b.clock.Now()
		for _, tc := range []struct {
			id    string
			count int
		}{{"1", 1}, {"1", 2}, {"2", 1}} {
			f := b.Fail(a, "sts-policy-fetch-error", "refused", tc.id)
			if f.Since != since || f.Count != tc.count {
				t.Errorf("id %s: since %v, count %d; want %v, %d", tc.id, f.Since, f.Count, since, tc.count)
			}
			b.PutAbsence(a, Absence{Until: b.clock.Now(), Failure: f, Reason: errTest})
			time.Sleep(time.Hour)
		}
	})
}

// The MX hosts of a domain are not compared yet with a policy that has other patterns than the one
// before. That survives eviction and a restart, as the comparison does.
func TestUnjudgedPolicyIsSaved(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		b.Put(d, fetch(t, "1", "enforce", 864000))
		b.JudgeMX(d, []string{"new.example"}, b.clock.Now())
		other := fetch(t, "2", "enforce", 864000)
		other.Policy.MX = []string{"new.example"}
		b.Put(d, other)
		wantMismatch := func(want bool) {
			t.Helper()
			restarted := New(Options{Clock: b.clock, Store: b.st, Verdicts: b.verdicts, Limits: limits(), Logger: b.logger})
			for name, table := range map[string]*Table{"in memory": b.Table, "restarted": restarted} {
				if got := table.Get(d).MatchesNoMX(); got != want {
					t.Errorf("%s: mismatch %v, want %v", name, got, want)
				}
			}
		}
		wantMismatch(false)
		b.JudgeMX(d, []string{"third.example"}, b.clock.Now())
		wantMismatch(true)
	})
}
