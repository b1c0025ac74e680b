package store

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
)

// begin is the wall time of all tests, whose clock stands still.
var begin = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

const (
	uptime  = 1000 * time.Hour
	present = clock.Moment(uptime)
)

// machine returns one that is in its first boot at begin.
func machine() *clocktest.Machine {
	return clocktest.NewMachine(func() time.Time { return begin }, "boot 1", uptime)
}

// at is the Moment so much later than begin.
func at(d time.Duration) clock.Moment { return present.Add(d) }

// due returns the due entries without failures.
func due(s *Store, now clock.Moment) (entries []Entry) {
	s.Due(now, false, func(e Entry) bool {
		entries = append(entries, e)
		return true
	})
	return entries
}

func domain(tb testing.TB, name string) mtasts.Domain {
	tb.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func policy(tb testing.TB, text string) mtasts.Policy {
	tb.Helper()
	p, err := mtasts.ParsePolicy(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

// bigPolicy is one of 60 KiB.
func bigPolicy(tb testing.TB) mtasts.Policy {
	return policy(tb, entry(tb, "example.com").Policy.Text+strings.Repeat("x: 123456789012345678901234567890\n", 1800))
}

// entry is an ordinary entry of the domain, due in a day.
func entry(tb testing.TB, name string) Entry {
	tb.Helper()
	return Entry{
		Domain: domain(tb, name),
		ID:     "20260701T120000",
		Policy: policy(tb, "version: STSv1\r\nmode: enforce\r\nmx: mx1."+name+"\r\nmx: *.mx."+name+
			"\r\nmax_age: 604800\r\n"),
		Fetched: Fetched{At: present, ThisBoot: true},
		Recheck: at(time.Hour),
		Used:    present,
		Next:    at(24 * time.Hour),
	}
}

func numbered(tb testing.TB, n int) Entry { return entry(tb, fmt.Sprintf("d%07d.example.com", n)) }

func filename(tb testing.TB) string { return filepath.Join(tb.TempDir(), "policies.db") }

func open(tb testing.TB, path string, logger *slog.Logger) *Store {
	tb.Helper()
	s, err := Open(path, machine().Clock(), logger)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { s.Close() })
	return s
}

func flush(tb testing.TB, s *Store) {
	tb.Helper()
	if err := s.Flush(); err != nil {
		tb.Fatal("Flush:", err)
	}
}

func closeStore(tb testing.TB, s *Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Fatal("Close:", err)
	}
}

var sameEntry = cmp.Options{cmp.AllowUnexported(mtasts.Domain{}), cmpopts.EquateEmpty()}

// rounded returns an entry as the file has it.
func rounded(tb testing.TB, s *Store, e Entry) Entry {
	tb.Helper()
	now := newStamp(1, s.clk.Origin())
	e, err := decode(e.Domain, encode(e, now), now)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}

// want checks the store's entry of e's domain.
func want(tb testing.TB, s *Store, e Entry) {
	tb.Helper()
	got, ok := s.Get(e.Domain)
	if !ok {
		tb.Errorf("no entry of %s", e.Domain)
		return
	}
	if diff := cmp.Diff(rounded(tb, s, e), rounded(tb, s, got), sameEntry); diff != "" {
		tb.Errorf("entry of %s: -want +got:\n%s", e.Domain, diff)
	}
}

func wantNone(tb testing.TB, s *Store, d mtasts.Domain) {
	tb.Helper()
	if got, ok := s.Get(d); ok {
		tb.Errorf("entry of %s: %+v, want none", d, got)
	}
}

// journal is a slog.Handler that keeps the events that a store logs.
type journal struct {
	mu     sync.Mutex
	events []event.Event
	lines  []string
}

func (j *journal) logger() *slog.Logger { return slog.New(j) }

func (j *journal) Enabled(context.Context, slog.Level) bool { return true }
func (j *journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j *journal) WithGroup(string) slog.Handler            { return j }

func (j *journal) Handle(_ context.Context, r slog.Record) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	line := r.Message
	r.Attrs(func(a slog.Attr) bool {
		if e, ok := a.Value.Any().(event.Event); ok {
			j.events = append(j.events, e)
			return true
		}
		line += " " + a.String()
		return true
	})
	j.lines = append(j.lines, line)
	return nil
}

// want waits until the events logged are these.
func (j *journal) want(tb testing.TB, events ...event.Event) {
	tb.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for {
		j.mu.Lock()
		got, lines := slices.Clone(j.events), slices.Clone(j.lines)
		j.mu.Unlock()
		if slices.Equal(got, events) {
			return
		}
		if len(got) > len(events) || time.Now().After(deadline) {
			tb.Fatalf("events %v, want %v; logged:\n%q", got, events, lines)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// copyOf copies a file now and returns what puts the copy in its place.
func copyOf(path string) (restore func() error, err error) {
	b, err := os.ReadFile(path)
	return func() error {
		if err := os.WriteFile(path+".copy", b, fileMode); err != nil {
			return err
		}
		return os.Rename(path+".copy", path)
	}, err
}
