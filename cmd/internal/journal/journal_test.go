package journal

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"
	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/event"
)

// sent is an entry that the fake journald received.
type sent struct {
	Message  string
	Priority systemd.Priority
	Fields   map[string]string
}

// logged returns what journald gets when log has logged at a level.
func logged(level slog.Level, log func(*slog.Logger)) (all []sent) {
	send := func(message string, priority systemd.Priority, fields map[string]string) error {
		all = append(all, sent{message, priority, fields})
		return nil
	}
	h := newHandler(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}), send)
	log(slog.New(h))
	h.Close()
	return all
}

func TestEntry(t *testing.T) {
	t.Parallel()
	expires := time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))
	for _, c := range []struct {
		name string
		log  func(*slog.Logger)
		want sent // without SYSLOG_IDENTIFIER
	}{
		{"an event", func(l *slog.Logger) {
			event.PolicyChanged.Log(l, event.Domain("a.example"), event.Mode("enforce"), event.ID("2"), event.Expires(expires), event.OldID("1"))
		}, sent{
			"Policy changed: a.example (mode enforce, id 2, expires 2026-01-02T02:04:05Z, old id 1)", systemd.PriNotice,
			map[string]string{
				"MESSAGE_ID":     event.PolicyChanged.Define().ID,
				"MTASTS_DOMAIN":  "a.example",
				"MTASTS_MODE":    "enforce",
				"MTASTS_ID":      "2",
				"MTASTS_EXPIRES": "2026-01-02T02:04:05Z",
				"MTASTS_OLD_ID":  "1",
			},
		}},
		{"a reason comes last", func(l *slog.Logger) {
			event.RecordGone.Log(l, event.Reason(errors.New("NXDOMAIN")), event.Domain("a.example"), event.ID("2"))
		}, sent{
			"Record gone or invalid, the cached policy applies until it expires: a.example (id 2): NXDOMAIN", systemd.PriWarning,
			map[string]string{
				"MESSAGE_ID":    event.RecordGone.Define().ID,
				"MTASTS_DOMAIN": "a.example",
				"MTASTS_ID":     "2",
				"MTASTS_REASON": "NXDOMAIN",
			},
		}},
		{"a reason alone", func(l *slog.Logger) {
			event.ConfigRefused.Log(l, event.Reason(errors.New("line 3: no")))
		}, sent{
			"Configuration refused, the previous one stays in force: line 3: no", systemd.PriErr,
			map[string]string{"MESSAGE_ID": event.ConfigRefused.Define().ID, "MTASTS_REASON": "line 3: no"},
		}},
		{"words alone", func(l *slog.Logger) { l.Info("Ready") }, sent{"Ready", systemd.PriInfo, map[string]string{}}},
		{"kinds of values", func(l *slog.Logger) {
			l.Debug("Lookup", "answer", "", "took", 3*time.Microsecond, "keys", []string{"a", "b"}, "at", expires)
		}, sent{
			"Lookup (took 3µs, keys [a b], at 2026-01-02T02:04:05Z)", systemd.PriDebug,
			map[string]string{"MTASTS_ANSWER": "", "MTASTS_TOOK": "3µs", "MTASTS_KEYS": "[a b]", "MTASTS_AT": "2026-01-02T02:04:05Z"},
		}},
		{"keys that are no field names", func(l *slog.Logger) {
			l.Info("x", "MX hosts", 1, "größe", 2, "a=b\n", 3)
		}, sent{
			`x (MX hosts 1, größe 2, a=b\n 3)`, systemd.PriInfo,
			map[string]string{"MTASTS_MX_HOSTS": "1", "MTASTS_GR__E": "2", "MTASTS_A_B_": "3"},
		}},
		{"attributes and groups of the logger", func(l *slog.Logger) {
			l = l.With("domain", "a.example", slog.Group("", "inline", 1), slog.Attr{}).WithGroup("out").With("x", 2).WithGroup("in")
			event.PolicyFound.Log(l, slog.Int("y", 3), slog.Group("deep", "z", 4), slog.Group("empty"))
		}, sent{
			"Policy found: a.example (inline 1, out x 2, out in y 3, out in deep z 4)", systemd.PriInfo,
			map[string]string{
				"MESSAGE_ID":           event.PolicyFound.Define().ID,
				"MTASTS_DOMAIN":        "a.example",
				"MTASTS_INLINE":        "1",
				"MTASTS_OUT_X":         "2",
				"MTASTS_OUT_IN_Y":      "3",
				"MTASTS_OUT_IN_DEEP_Z": "4",
			},
		}},
	} {
		c.want.Fields["SYSLOG_IDENTIFIER"] = "mta-sts-daemon"
		if diff := cmp.Diff([]sent{c.want}, logged(slog.LevelDebug, c.log)); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
}

func TestPriority(t *testing.T) {
	t.Parallel()
	for level, want := range map[slog.Level]systemd.Priority{
		slog.LevelDebug:     systemd.PriDebug,
		slog.LevelInfo:      systemd.PriInfo,
		event.LevelNotice:   systemd.PriNotice,
		slog.LevelWarn:      systemd.PriWarning,
		slog.LevelError:     systemd.PriErr,
		slog.LevelError + 4: systemd.PriCrit,
	} {
		if got := priority(level); got != want {
			t.Errorf("%v has priority %d, want %d", level, got, want)
		}
	}
}

// Untrusted text is one readable line in MESSAGE, and no entry is too large for a
// datagram.
func TestUntrustedText(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, value, message, field string }{
		{"plain", `say "hi" \ bye`, `say "hi" \ bye`, `say "hi" \ bye`},
		{"letters", "bücher", "bücher", "bücher"},
		{"lines", "a\nPRIORITY=0\r\n", `a\nPRIORITY=0\r\n`, "a\nPRIORITY=0\r\n"},
		{"terminal codes", "\x1b[31m\x00\u202e", `\x1b[31m\x00\u202e`, "\x1b[31m\x00\u202e"},
		{"no UTF-8", "a\xff", "a\uFFFD", "a\uFFFD"},
		{"long", strings.Repeat("x", 10_000), strings.Repeat("x", maxMessageValue) + "...", strings.Repeat("x", maxField) + "..."},
		{"long, of long letters", strings.Repeat("€", 10_000), strings.Repeat("€", maxMessageValue/3) + "...", strings.Repeat("€", maxField/3) + "..."},
	} {
		got := logged(slog.LevelInfo, func(l *slog.Logger) { l.Info("x", "reason", c.value) })
		want := []sent{{"x: " + c.message, systemd.PriInfo, map[string]string{"SYSLOG_IDENTIFIER": identifier, "MTASTS_REASON": c.field}}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s:\n%s", c.name, diff)
		}
	}
	got := logged(slog.LevelInfo, func(l *slog.Logger) { l.Info("two\nlines") })
	if want := `two\nlines`; got[0].Message != want {
		t.Errorf("the message is %q, want %q", got[0].Message, want)
	}
}

func TestEnabled(t *testing.T) {
	t.Parallel()
	h := newHandler(slog.NewTextHandler(&bytes.Buffer{}, &slog.HandlerOptions{Level: slog.LevelWarn}), nil)
	defer h.Close()
	if h.Enabled(t.Context(), slog.LevelInfo) || !h.Enabled(t.Context(), slog.LevelWarn) {
		t.Error("the level is not that of the fallback")
	}
}

func TestIsStderr(t *testing.T) {
	var stat syscall.Stat_t
	if err := syscall.Fstat(int(os.Stderr.Fd()), &stat); err != nil {
		t.Fatal(err)
	}
	stream := fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)
	for _, c := range []struct {
		name, stream string
		want         bool
	}{
		{"connected by systemd", stream, true},
		{"inherited by a program whose stderr is elsewhere", fmt.Sprintf("%d:%d", stat.Dev, stat.Ino+1), false},
		{"malformed", "journal", false},
		{"not under systemd", "", false},
	} {
		t.Setenv("JOURNAL_STREAM", c.stream)
		if got := IsStderr(os.Stderr); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
	t.Setenv("JOURNAL_STREAM", stream)
	if IsStderr(&bytes.Buffer{}) {
		t.Error("a buffer counts as stderr")
	}
}
