package daemon

import (
	"context"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"

	"mta-sts-daemon/cmd/internal/journal"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

// logging is a slog.Handler whose level and format a reload can change under
// the loggers that use it. Floods of events are kept out of every format.
type logging struct {
	*journal.Limiter
	level   slog.LevelVar
	inForce atomic.Pointer[slog.Handler]

	text, json *journal.Unblocked
	journal    *journal.Handler // nil where stderr is not the journal
}

func newLogging(cfg config.Log, stdout, stderr io.Writer) *logging {
	return logTo(stdout, stderr, journal.IsStderr(stderr), cfg)
}

func logTo(stdout, stderr io.Writer, isJournal bool, cfg config.Log) *logging {
	l := &logging{}
	forText := forPeople
	if isJournal {
		forText = forJournal
	}
	l.json = journal.NewUnblocked(stdout, func(w io.Writer) slog.Handler {
		return slog.NewJSONHandler(w, &slog.HandlerOptions{Level: &l.level, ReplaceAttr: forPeople})
	})
	l.text = journal.NewUnblocked(stderr, func(w io.Writer) slog.Handler {
		return slog.NewTextHandler(w, &slog.HandlerOptions{Level: &l.level, ReplaceAttr: forText})
	})
	if isJournal {
		l.journal = journal.New(l.text)
	}
	l.Limiter = journal.NewLimiter(switchable{inForce: &l.inForce})
	l.configure(cfg)
	return l
}

func (l *logging) configure(cfg config.Log) {
	l.level.Set(slogLevel(cfg.Level))
	var handler slog.Handler = l.text
	switch {
	case cfg.Format == config.LogJSON:
		handler = l.json
	case cfg.Format == config.LogAuto && l.journal != nil:
		handler = l.journal
	}
	l.inForce.Store(&handler)
}

func slogLevel(level config.LogLevel) slog.Level {
	switch level {
	case config.LogDebug:
		return slog.LevelDebug
	case config.LogNotice:
		return event.LevelNotice
	case config.LogWarning:
		return slog.LevelWarn
	case config.LogError:
		return slog.LevelError
	}
	return slog.LevelInfo
}

// Close writes the entries that are still queued. Entries logged after it may be
// lost.
func (l *logging) Close() {
	l.Limiter.Close()
	if l.journal != nil {
		l.journal.Close() // it may still write to l.text
	}
	l.json.Close()
	l.text.Close()
}

// switchable is a slog.Handler in front of the one in force. Loggers derived
// from it follow a change like all others.
type switchable struct {
	inForce *atomic.Pointer[slog.Handler]
	derive  []func(slog.Handler) slog.Handler
}

func (s switchable) Enabled(ctx context.Context, level slog.Level) bool {
	return (*s.inForce.Load()).Enabled(ctx, level)
}

func (s switchable) Handle(ctx context.Context, r slog.Record) error {
	handler := *s.inForce.Load()
	for _, derive := range s.derive {
		handler = derive(handler)
	}
	return handler.Handle(ctx, r)
}

func (s switchable) WithAttrs(attrs []slog.Attr) slog.Handler {
	return s.with(func(h slog.Handler) slog.Handler { return h.WithAttrs(attrs) })
}

func (s switchable) WithGroup(name string) slog.Handler {
	return s.with(func(h slog.Handler) slog.Handler { return h.WithGroup(name) })
}

func (s switchable) with(derive func(slog.Handler) slog.Handler) slog.Handler {
	s.derive = append(slices.Clip(s.derive), derive)
	return s
}

// forPeople names the notice level and leaves out what only the journal can
// use.
func forPeople(_ []string, a slog.Attr) slog.Attr {
	switch a.Key {
	case event.Key:
		return slog.Attr{}
	case slog.LevelKey:
		if a.Value.Any() == event.LevelNotice {
			a.Value = slog.StringValue("NOTICE")
		}
	}
	return a
}

// forJournal leaves out the time too, which the journal has.
func forJournal(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey {
		return slog.Attr{}
	}
	return forPeople(groups, a)
}
