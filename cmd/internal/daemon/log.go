package daemon

import (
	"context"
	"io"
	"log/slog"
	"sync/atomic"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

// logging is a slog.Handler whose level and format a reload can change under
// the loggers that use it.
type logging struct {
	stderr  io.Writer
	level   slog.LevelVar
	handler atomic.Pointer[slog.Handler]
}

func newLogging(cfg config.Log, stderr io.Writer) *logging {
	l := &logging{stderr: stderr}
	l.configure(cfg)
	return l
}

func (l *logging) configure(cfg config.Log) {
	l.level.Set(cfg.Level)
	options := &slog.HandlerOptions{Level: &l.level, ReplaceAttr: forPeople}
	var handler slog.Handler = slog.NewTextHandler(l.stderr, options)
	if cfg.Format == config.LogJSON {
		handler = slog.NewJSONHandler(l.stderr, options)
	}
	l.handler.Store(&handler)
}

func (l *logging) Enabled(_ context.Context, level slog.Level) bool { return level >= l.level.Level() }

func (l *logging) Handle(ctx context.Context, r slog.Record) error {
	return (*l.handler.Load()).Handle(ctx, r)
}

// Loggers with attributes of their own keep the format of when they were made.

func (l *logging) WithAttrs(attrs []slog.Attr) slog.Handler {
	return (*l.handler.Load()).WithAttrs(attrs)
}

func (l *logging) WithGroup(name string) slog.Handler { return (*l.handler.Load()).WithGroup(name) }

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
