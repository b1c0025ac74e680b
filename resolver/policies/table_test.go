package policies

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

const day = 24 * time.Hour

// bench is a Table on a machine in fake time.
type bench struct {
	*Table
	machine  *clocktest.Machine
	st       *store.Store
	verdicts *stored
	log      bytes.Buffer
}

// stored is the verdicts of a test.
type stored struct {
	mu sync.Mutex
	by map[mtasts.Domain][]store.Verdict
}

func (s *stored) Stored(d mtasts.Domain) []store.Verdict {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.by[d]
}

func (s *stored) Restore(d mtasts.Domain, v []store.Verdict) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.by[d] = v
}

func limits() Limits {
	return Limits{Entries: 4, NegativeEntries: 4, RefreshInterval: day, Idle: 14 * day}
}

func newBench(t *testing.T, l Limits) *bench {
	b := &bench{machine: clocktest.NewMachine(time.Now, "boot 1", time.Hour), verdicts: &stored{by: map[mtasts.Domain][]store.Verdict{}}}
	clk := b.machine.Clock()
	b.st = store.OpenMemory(clk)
	t.Cleanup(func() { b.st.Close() })
	b.Table = New(Options{Clock: clk, Store: b.st, Verdicts: b.verdicts, Limits: l, Metrics: prometheus.NewRegistry(),
		Logger: slog.New(slog.NewTextHandler(&b.log, nil))})
	return b
}

// onBench runs a test in fake time with room for four policies.
func onBench(t *testing.T, test func(t *testing.T, b *bench)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, newBench(t, limits())) })
}

func domain(t *testing.T, name string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func fetch(t *testing.T, id, mode string, maxAge int) Fetch {
	t.Helper()
	p, err := mtasts.ParsePolicy(fmt.Sprintf("version: STSv1\nmode: %s\nmx: mx.example\nmax_age: %d\n", mode, maxAge))
	if err != nil {
		t.Fatal(err)
	}
	return Fetch{Policy: p, ID: id, ToMX: true}
}

// wantID fails unless the domain's policy, live or expired, is of that id; "" for none.
func (b *bench) wantID(t *testing.T, d mtasts.Domain, want string) {
	t.Helper()
	got := ""
	if e := b.Get(d); e != nil {
		got = e.ID()
	}
	if got != want {
		t.Errorf("%v has policy %q, want %q", d, got, want)
	}
}

func (b *bench) wantLogged(t *testing.T, message string, times int) {
	t.Helper()
	if n := strings.Count(b.log.String(), message); n != times {
		t.Errorf("%q logged %d times, want %d:\n%s", message, n, times, &b.log)
	}
}

var errTest = errors.New("refused")

func TestAbsenceNeverHidesALivePolicy(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		b.Put(a, fetch(t, "1", "enforce", 864000))
		for i := range 5 { // a is in the file alone
			b.Put(domain(t, fmt.Sprintf("d%d.example", i)), fetch(t, "1", "enforce", 864000))
		}
		until := b.clock.Now().Add(time.Hour)
		for name, put := range map[string]func() *Entry{
			"absence": func() *Entry { return b.PutAbsence(a, Absence{Until: until, Reason: errTest}) },
			"failure": func() *Entry {
				return b.PutAbsence(a, Absence{Until: until, Failure: b.Fail(a, "w", "r", "2"), Reason: errTest})
			},
			"ignorance": func() *Entry { return b.PutIgnorance(a, Ignorance{Pause: time.Hour, Reason: errTest}) },
		} {
			if live := put(); live == nil || live.ID() != "1" {
				t.Errorf("%s: returned %+v", name, live)
			}
			if _, _, ok := b.Negative(a, b.clock.Now()); ok {
				t.Errorf("%s was filed", name)
			}
		}
	})
}

// A caller may hold an entry that was replaced, forgotten, or evicted and loaded again.
func TestVerbsOnAStaleEntry(t *testing.T) {
	verbs := map[string]func(b *bench, d mtasts.Domain, e *Entry){
		"Recheck":       func(b *bench, d mtasts.Domain, e *Entry) { b.Recheck(d, e, b.clock.Now().Add(time.Hour)) },
		"RecordGone":    func(b *bench, d mtasts.Domain, e *Entry) { b.RecordGone(d, e, errTest) },
		"RefreshFailed": func(b *bench, d mtasts.Domain, e *Entry) { b.RefreshFailed(d, e, b.Fail(d, "w", "r", "1"), 0) },
		"Postpone":      func(b *bench, d mtasts.Domain, e *Entry) { b.Postpone(d, e, time.Minute, errTest) },
		"MayRefresh": func(b *bench, d mtasts.Domain, e *Entry) {
			b.MayRefresh(d, e, func() bool { return false }, time.Minute)
		},
	}
	for name, verb := range verbs {
		t.Run(name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				a := domain(t, "a.example")
				stale := b.Put(a, fetch(t, "1", "enforce", 864000))
				time.Sleep(30 * time.Hour)

				b.Forget(a, func(*Entry) bool { return true })
				verb(b, a, stale)
				b.wantID(t, a, "")

				time.Sleep(time.Second)
				b.Put(a, fetch(t, "2", "enforce", 864000))
				before, _ := b.st.Get(a)
				verb(b, a, stale)
				if after, _ := b.st.Get(a); !reflect.DeepEqual(before, after) {
					t.Errorf("another policy was changed:\n%+v\n%+v", before, after)
				}
			})
		})
	}
}

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

func TestPutIfNewer(t *testing.T) {
	for _, tc := range []struct {
		name   string
		purges uint64 // known to the other node
		after  time.Duration
		want   string
	}{
		{"later", 0, time.Minute, "2"},
		{"at the same time", 0, 0, "1"},
		{"earlier", 0, -time.Minute, "1"},
		{"earlier, after a later purge", 1, -time.Minute, "2"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				a := domain(t, "a.example")
				first := b.Put(a, fetch(t, "1", "enforce", 864000))
				f := fetch(t, "2", "enforce", 864000)
				f.Purges = tc.purges
				if got := b.PutIfNewer(a, f, first.Fetched().Add(tc.after)); got.ID() != tc.want {
					t.Errorf("returned %s, want %s", got.ID(), tc.want)
				}
				b.wantID(t, a, tc.want)
			})
		})
	}
}

func TestForgetAll(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		var domains []mtasts.Domain
		defer func() {
			if c := b.Counts(); c.Mismatched != 5 {
				t.Errorf("%d mismatched are left, want 5", c.Mismatched)
			}
		}()
		for i := range 10 {
			d := domain(t, fmt.Sprintf("d%d.example", i))
			domains = append(domains, d)
			f := fetch(t, "1", "enforce", 864000)
			f.Purges = uint64(i % 2)
			b.Put(d, f)
			b.JudgeMX(d, []string{"other.example"}, b.clock.Now())
		}
		if n := b.ForgetAll(1); n != 5 {
			t.Errorf("%d forgotten, want 5", n)
		}
		for i, d := range domains {
			b.wantID(t, d, []string{"", "1"}[i%2])
		}
		b.PutIfNewer(domains[0], fetch(t, "1", "enforce", 864000), time.Now())
		b.wantID(t, domains[0], "") // it is of before the purge
	})
}

// However often a policy is fetched again, the memory that it takes counts once.
func TestRefreshesTakeNoRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limits()
		l.Entries = 16
		b := newBench(t, l)
		a, other := domain(t, "a.example"), domain(t, "other.example")
		long := fetch(t, "1", "enforce", 864000)
		long.Policy.Text += "x: " + strings.Repeat("y", 4<<10) + "\n"
		b.Put(other, long)
		for range 100 {
			b.Put(a, long)
		}
		if b.Live(other, b.clock.Now()) == nil {
			t.Error("a policy was evicted for another one's refreshes")
		}
		for i := range 50 {
			b.Put(domain(t, fmt.Sprintf("d%d.example", i)), long)
		}
		if n := b.policies.Len(); n < 2 || n > 16*bytesPerEntry/(4<<10) {
			t.Errorf("%d long policies in memory", n)
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
			b.Save(d)
		})
		both.Wait()
		if s, _ := b.st.Get(d); len(s.Verdicts) != 1 {
			t.Fatalf("%v: stored with verdicts %v", d, s.Verdicts)
		}
	}
}

// Many callers at once leave memory, file and counts in agreement.
func TestManyCallers(t *testing.T) {
	b := newBench(t, limits())
	var callers sync.WaitGroup
	for c := range 16 {
		callers.Go(func() {
			for i := range 300 {
				d := domain(t, fmt.Sprintf("d%d.example", (c+i)%7))
				e := b.Get(d)
				switch i % 6 {
				case 0:
					b.Put(d, fetch(t, fmt.Sprint(i), "enforce", 864000))
				case 1:
					b.PutAbsence(d, Absence{Until: clock.Never, Reason: errTest})
				case 2:
					b.JudgeMX(d, []string{"other.example"}, b.clock.Now())
				case 3:
					if e != nil {
						b.RefreshFailed(d, e, b.Fail(d, "w", "r", e.ID()), 0)
					}
				case 4:
					b.Forget(d, func(*Entry) bool { return i%2 == 0 })
				case 5:
					b.Attend(d)
				}
			}
		})
	}
	callers.Wait()
	failing, mismatched := 0, 0
	b.All(func(k Known) bool {
		if k.Failure != nil {
			failing++
		}
		if !k.Mismatch.IsZero() {
			mismatched++
		}
		if _, _, ok := b.Negative(k.Domain, b.clock.Now()); ok {
			t.Errorf("%v has a live policy and an absence", k.Domain)
		}
		return true
	})
	if c := b.Counts(); c.Failing != failing || c.Mismatched != mismatched {
		t.Errorf("counts %+v, want %d failing, %d mismatched", c, failing, mismatched)
	}
}

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

// Answers about MX hosts may come in another order than their questions.
func TestLateAnswerAboutMXHosts(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		e := b.Put(a, fetch(t, "1", "enforce", 864000))
		first := b.clock.Now()
		second := first.Add(time.Second)
		b.JudgeMX(a, []string{"mx.example"}, second)
		b.JudgeMX(a, []string{"other.example"}, first)
		if e.MatchesNoMX() {
			t.Error("the answer to the earlier question was filed last")
		}
		b.JudgeMX(a, []string{"other.example"}, second.Add(1))
		if !e.MatchesNoMX() {
			t.Error("a mismatch was not filed")
		}
	})
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
	onBench(t, func(t *testing.T, b *bench) {
		l := limits()
		l.Entries = 1
		b.Configure(l)
		d := domain(t, "a.example")
		e := b.Put(d, fetch(t, "1", "enforce", 10*86400))
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
