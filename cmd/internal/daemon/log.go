package daemon

import (
	"io"
	"log/slog"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

// newLogger returns the daemon's logger and the level that a reload sets.
func newLogger(cfg config.Log, stderr io.Writer) (*slog.Logger, *slog.LevelVar) {
	level := new(slog.LevelVar)
	level.Set(cfg.Level)
	options := &slog.HandlerOptions{Level: level, ReplaceAttr: forPeople}
	if cfg.Format == config.LogJSON {
		return slog.New(slog.NewJSONHandler(stderr, options)), level
	}
	return slog.New(slog.NewTextHandler(stderr, options)), level
}

// forPeople names the notice level and leaves out what only the journal can
// use.
func forPeople(groups []string, a slog.Attr) slog.Attr {
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
