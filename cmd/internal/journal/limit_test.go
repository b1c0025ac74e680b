package journal

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/event"
)

// limited is a logger behind a Limiter, and what passed.
type limited struct {
	*slog.Logger
	limiter *Limiter
	level   slog.LevelVar

	mu    sync.Mutex
	lines []string
}

func newLimited() *limited {
	l := &limited{}
	l.limiter = NewLimiter(slog.NewTextHandler(l, &slog.HandlerOptions{Level: &l.level, ReplaceAttr: withoutTime}))
	l.Logger = slog.New(l.limiter)
	return l
}

func (l *limited) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, strings.TrimSuffix(string(line), "\n"))
	return len(line), nil
}

// passed returns the lines written since it was asked last.
func (l *limited) passed() (lines []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	lines, l.lines = l.lines, nil
	return lines
}

func logTimes(n int, e event.Event, l *slog.Logger) {
	for i := range n {
		e.Log(l, event.Domain(fmt.Sprintf("d%d.example", i)))
	}
}

func TestFlood(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		logTimes(1, event.PolicyFound, l.Logger)
		time.Sleep(window - time.Minute)
		logTimes(burst+4, event.PolicyFound, l.Logger)
		got := l.passed()
		if len(got) != burst || !strings.Contains(got[burst-1], "domain=d18.example") {
			t.Fatalf("%d events passed, the last %s; want the first %d", len(got), got[len(got)-1], burst)
		}
		time.Sleep(time.Minute - time.Nanosecond)
		synctest.Wait()
		if got := l.passed(); got != nil {
			t.Errorf("summary before the window ends: %q", got)
		}
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		want := `level=INFO msg="Policy found: 5 more in 10 min, not shown one by one; \"mta-sts-daemon changes --kind found\" lists the domains" count=5 event=` + event.PolicyFound.Define().ID
		if got := l.passed(); len(got) != 1 || got[0] != want {
			t.Errorf("at the window's end:\n%q, want\n%q", got, want)
		}
		// The next window starts with the next event.
		time.Sleep(window)
		logTimes(burst, event.PolicyFound, l.Logger)
		if got := l.passed(); len(got) != burst {
			t.Errorf("%d events passed in the next window, want %d", len(got), burst)
		}
	})
}

// Each kind of event has its own window: a flood of finds suppresses no downgrade.
func TestFloodLeavesOtherKinds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		logTimes(1000, event.PolicyFound, l.Logger)
		l.passed()
		for _, e := range []event.Event{event.PolicyDowngraded, event.PolicyMatchesNoMX, event.PolicyExpired, event.DANEUnknown} {
			logTimes(1, e, l.Logger)
			if got := l.passed(); len(got) != 1 || !strings.Contains(got[0], e.Define().ID) {
				t.Errorf("%q in a flood of PolicyFound: %q", e.Define().Message, got)
			}
		}
	})
}

// Windows in which nothing was held back end without a word.
func TestFewEventsAllPass(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		for range 5 {
			logTimes(burst, event.RefreshFailing, l.Logger)
			if got := l.passed(); len(got) != burst {
				t.Errorf("%d of %d events passed", len(got), burst)
			}
			time.Sleep(window)
		}
		l.limiter.Close()
		if got := l.passed(); got != nil {
			t.Errorf("summary at the end: %q", got)
		}
	})
}

func TestKindsAreCountedSeparately(t *testing.T) {
	t.Parallel()
	l := newLimited()
	logTimes(burst+1, event.PolicyFound, l.Logger)
	l.passed()
	for range 2 * burst {
		l.Info("no event")
	}
	logTimes(burst, event.ConfigRefused, l.Logger)
	if got := l.passed(); len(got) != 3*burst {
		t.Errorf("%d lines of other kinds passed, want %d", len(got), 3*burst)
	}
}

func TestDebugShowsAll(t *testing.T) {
	t.Parallel()
	l := newLimited()
	l.level.Set(slog.LevelDebug)
	logTimes(3*burst, event.PolicyFound, l.Logger)
	l.limiter.Close()
	if got := l.passed(); len(got) != 3*burst {
		t.Errorf("%d lines at level debug, want %d", len(got), 3*burst)
	}
}

func TestCloseLogsSummaries(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimited()
		logTimes(burst+2, event.PolicyFound, l.Logger)
		logTimes(burst+3, event.ConfigRefused, l.Logger)
		logTimes(burst, event.PolicyChanged, l.Logger)
		l.passed()
		time.Sleep(90 * time.Second)
		l.limiter.Close()
		got := strings.Join(l.passed(), "\n")
		want := `level=ERROR msg="Configuration refused, the previous one stays in force: 3 more in 2 min, not shown one by one" count=3 event=` +
			event.ConfigRefused.Define().ID + "\n" +
			`level=INFO msg="Policy found: 2 more in 2 min, not shown one by one; \"mta-sts-daemon changes --kind found\" lists the domains" count=2 event=` + event.PolicyFound.Define().ID
		if got != want {
			t.Errorf("summary at the end:\n%s\nwant:\n%s", got, want)
		}
		time.Sleep(2 * window)
		synctest.Wait()
		if got := l.passed(); got != nil {
			t.Errorf("summary logged twice: %q", got)
		}
	})
}

// A level that a reload has raised applies to later summaries.
func TestSummaryHasALevel(t *testing.T) {
	t.Parallel()
	l := newLimited()
	logTimes(burst+1, event.PolicyFound, l.Logger)
	l.passed()
	l.level.Set(slog.LevelWarn)
	l.limiter.Close()
	if got := l.passed(); got != nil {
		t.Errorf("summary below the level: %q", got)
	}
}

// Loggers with attributes and groups share the count; the summary has none of
// their attributes.
func TestDerivedLoggersShareTheCount(t *testing.T) {
	t.Parallel()
	l := newLimited()
	with := l.With("a", 1)
	var group sync.WaitGroup
	for range burst {
		group.Go(func() { event.PolicyFound.Log(l.Logger) })
		group.Go(func() { event.PolicyFound.Log(with) })
		group.Go(func() { event.PolicyFound.Log(l.WithGroup("g")) })
	}
	group.Wait()
	if got := l.passed(); len(got) != burst {
		t.Errorf("%d events passed, want %d", len(got), burst)
	}
	l.limiter.Close()
	if got := l.passed(); len(got) != 1 || !strings.Contains(got[0], " count=40 ") || strings.Contains(got[0], "a=1") {
		t.Errorf("summary at the end: %q", got)
	}
}

func TestSummaryInTheJournal(t *testing.T) {
	t.Parallel()
	got := logged(slog.LevelInfo, func(l *slog.Logger) {
		limiter := NewLimiter(l.Handler())
		logTimes(burst+7, event.PolicyFound, slog.New(limiter))
		limiter.Close()
	})
	want := sent{"Policy found: 7 more in 1 min, not shown one by one; \"mta-sts-daemon changes --kind found\" lists the domains", systemd.PriInfo, map[string]string{
		"SYSLOG_IDENTIFIER": identifier,
		"MESSAGE_ID":        event.PolicyFound.Define().ID,
		"MTASTS_COUNT":      "7",
	}}
	if diff := cmp.Diff([]sent{want}, got[burst:]); diff != "" {
		t.Error(diff)
	}
}
