package policies

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/dnsclient"
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

func newBench(t *testing.T, l Limits) *bench { return newBenchAt(t, l, time.Now) }

// newBenchAt is for a test that reads the monotonic clock itself.
func newBenchAt(t *testing.T, l Limits, now func() time.Time) *bench {
	b := &bench{machine: clocktest.NewMachine(now, "boot 1", time.Hour), verdicts: &stored{by: map[mtasts.Domain][]store.Verdict{}}}
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

// A record that is gone or invalid for a while does not make its id new.
func TestFailureOfAnIDOutlivesAnAbsence(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		broken := b.Fail(a, "w", "refused", "1")
		b.PutAbsence(a, Absence{Failure: broken, Reason: errTest})
		for name, put := range map[string]func(){
			"no record":      func() { b.PutAbsence(a, Absence{Reason: errTest}) },
			"invalid record": func() { b.PutAbsence(a, Absence{Failure: b.Fail(a, "", "invalid", ""), Reason: errTest}) },
			"no answer":      func() { b.PutIgnorance(a, Ignorance{Reason: errTest}) },
		} {
			if put(); b.FailureOf(a, "1") != broken {
				t.Errorf("%s: nothing is known of the failed fetch", name)
			}
		}
		if f := b.FailureOf(a, "2"); f != nil {
			t.Errorf("another id failed: %+v", f)
		}
	})
}

// A fetch for a new id that fails without the publisher's fault puts off a refresh that is due soon.
func TestPostponeARefreshThatIsDueSoon(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		e := b.Put(a, fetch(t, "1", "enforce", 7200))
		for !e.RefreshDue(b.clock.Now().Add(time.Minute)) {
			time.Sleep(time.Minute)
		}
		b.Postpone(a, e, 5*time.Minute, errTest)
		if time.Sleep(4 * time.Minute); e.RefreshDue(b.clock.Now()) {
			t.Error("the refresh is due within the pause")
		}
		if time.Sleep(2 * time.Minute); !e.RefreshDue(b.clock.Now()) {
			t.Error("the refresh is not due after the pause")
		}
	})
}

// Attempts in an outage, and those refused for load, do not put off a domain that fails by
// itself later.
func TestOutageCountsNoAttempts(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a, out := domain(t, "a.example"), true
		for range 3 {
			b.PutIgnorance(a, Ignorance{While: func() bool { return out }, Reason: errTest})
		}
		out = false
		for range 3 {
			b.PutIgnorance(a, Ignorance{Pause: time.Minute, Reason: errTest})
		}
		b.PutIgnorance(a, Ignorance{Reason: errTest})
		time.Sleep(dnsclient.Retry(1) + time.Second)
		if _, _, ok := b.Negative(a, b.clock.Now()); ok {
			t.Error("the first failure of its own keeps it from being asked for longer than one does")
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

// The copy of a policy that this host fetched itself, from the shared store, may seem a little
// newer. It does not replace the policy, which ages by time since boot, so that a step of
// the wall clock ends it neither early nor late.
func TestSamePolicyFromAnotherNode(t *testing.T) {
	const maxAge = 10 * day
	for _, tc := range []struct {
		name  string
		after time.Duration // the other node's fetch, by the wall clock
		wall  time.Duration // step of it later
		until time.Duration // the policy's end since this host's fetch
	}{
		{"clock set back", time.Second, -30 * day, maxAge},
		{"clock set ahead", time.Second, 30 * day, maxAge},
		{"clocks differ", maxAhead, -30 * day, maxAge},
		{"fetched again", 5 * time.Hour, 0, maxAge + 5*time.Hour},
	} {
		t.Run(tc.name, func(t *testing.T) {
			onBench(t, func(t *testing.T, b *bench) {
				time.Sleep(maxAge + day) // the process began long ago
				a, f := domain(t, "a.example"), fetch(t, "1", "enforce", int(maxAge.Seconds()))
				own := b.Put(a, f)
				at := b.clock.Now()
				time.Sleep(tc.after)
				b.PutIfNewer(a, f, own.Fetched().Add(tc.after))
				b.machine.SetWall(tc.wall)
				b.Observe()
				for _, end := range []struct {
					since time.Duration
					live  bool
				}{{tc.until - time.Minute, true}, {tc.until + time.Minute, false}} {
					if e := b.Get(a); (e.LiveAt(at.Add(end.since)) != nil) != end.live {
						t.Errorf("live %v after the fetch: %v, want %v", end.since, !end.live, end.live)
					}
				}
			})
		})
	}
}

// Nor does the copy replace the policy after a reboot.
func TestOwnCopyAfterAReboot(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a, f, wall := domain(t, "a.example"), fetch(t, "1", "enforce", 864000), b.machine.Wall().Truncate(time.Second)
		stored := store.Fetched{Wall: wall.Add(-time.Second), Original: wall} // a slow clock was corrected
		b.st.Put(store.Entry{Domain: a, ID: f.ID, Policy: f.Policy, Fetched: stored, Next: clock.Never})
		if got := b.PutIfNewer(a, f, wall); !got.Fetched().Equal(stored.Wall) {
			t.Errorf("fetched at %v, want %v", got.Fetched(), stored.Wall)
		}
	})
}

// A verdict that memory has evicted stays in the file, next to one that memory has.
func TestEvictedVerdictStays(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		until := b.clock.Now().Add(time.Hour)
		b.verdicts.by[d] = []store.Verdict{{MX: true, Port: 25, Kind: 1, Until: until}, {Port: 25, Kind: 2, Until: until}}
		b.Put(d, fetch(t, "1", "enforce", 864000))
		b.verdicts.by[d] = []store.Verdict{{MX: true, Port: 25, Kind: 3, Until: until}}
		b.SaveVerdicts(d)
		want := []store.Verdict{{MX: true, Port: 25, Kind: 3, Until: until}, {Port: 25, Kind: 2, Until: until}}
		if s, _ := b.st.Get(d); !slices.Equal(s.Verdicts, want) {
			t.Errorf("stored: %+v, want %+v", s.Verdicts, want)
		}
	})
}

// A new verdict is saved although memory has evicted it, and the policy, meanwhile.
func TestEvictedVerdictIsSaved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := limits()
		l.Entries = 1
		b := newBench(t, l)
		d := domain(t, "a.example")
		until := b.clock.Now().Add(time.Hour)
		b.verdicts.by[d] = []store.Verdict{{MX: true, Port: 25, Kind: 1, Until: until}}
		b.Put(d, fetch(t, "1", "enforce", 864000))
		b.Put(domain(t, "other.example"), fetch(t, "1", "enforce", 864000))
		delete(b.verdicts.by, d)
		want := store.Verdict{MX: true, Port: 25, Kind: 2, Until: until}
		if !b.SaveVerdicts(d, want) {
			t.Error("the policy is not known")
		}
		if s, _ := b.st.Get(d); !slices.Equal(s.Verdicts, []store.Verdict{want}) {
			t.Errorf("stored: %+v, want %+v", s.Verdicts, want)
		}
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
		if n := b.policies.len(); n < 2 || n > 16*bytesPerEntry/(4<<10) {
			t.Errorf("%d long policies in memory", n)
		}
	})
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

// A policy that is removed because it ended long ago leaves the failure since its end.
func TestRemovedPolicyLeavesFailure(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		b.Put(d, fetch(t, "1", "enforce", 3600))
		time.Sleep(keepExpired + 2*time.Hour)
		f := b.Fail(d, "sts-webpki-invalid", "expired", "1")
		b.PutAbsence(d, Absence{Until: b.clock.Now().Add(time.Hour), Failure: f, Reason: errTest})
		b.Attend(d)
		b.wantID(t, d, "")
		if b.FailureOf(d, "1") != f {
			t.Error("the failure is forgotten")
		}
	})
}

// A failure from the time of a wrong clock, by which the policy had ended, hides no later one.
func TestFailuresAfterAWrongClock(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		d := domain(t, "a.example")
		b.PutIfNewer(d, fetch(t, "1", "enforce", 30*24*3600), b.machine.Wall())
		b.machine.SetWall(400 * day)
		f := b.Fail(d, "sts-policy-fetch-error", "refused", "1")
		if live := b.PutAbsence(d, Absence{Until: b.clock.Now().Add(time.Minute), Failure: f, Reason: errTest}); live != nil {
			t.Fatal("the policy is live")
		}
		b.machine.SetWall(-400 * day)
		b.Observe()
		for count := 2; count <= 3; count++ {
			time.Sleep(10 * time.Minute)
			f = b.Fail(d, "sts-policy-fetch-error", "refused", "1")
			b.RefreshFailed(d, b.Get(d), f, b.clock.Now())
			if f.Count != count || b.FailureOf(d, "1") != f {
				t.Errorf("%d failures in a row, want %d; the last one known: %v", f.Count, count, b.FailureOf(d, "1") == f)
			}
		}
	})
}

// A policy ends the absence before it, which would answer when memory has evicted the policy.
func TestPolicyEndsAbsence(t *testing.T) {
	onBench(t, func(t *testing.T, b *bench) {
		a := domain(t, "a.example")
		b.PutAbsence(a, Absence{Until: b.clock.Now().Add(time.Hour), Reason: errTest})
		b.Put(a, fetch(t, "1", "enforce", 86400))
		if _, _, ok := b.Negative(a, b.clock.Now()); ok {
			t.Error("the absence still holds")
		}
	})
}
