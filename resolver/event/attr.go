package event

import (
	"log/slog"
	"time"
)

// Domain, Mode … are the attributes that events share; the journal knows them
// as MTASTS_DOMAIN, MTASTS_MODE and so on.

// Domain is the policy domain that the event is about.
func Domain(d string) slog.Attr { return slog.String("domain", d) }

// Mode is the policy's mode.
func Mode(m string) slog.Attr { return slog.String("mode", m) }

// ID is the policy id.
func ID(id string) slog.Attr { return slog.String("id", id) }

// OldID is the policy id before.
func OldID(id string) slog.Attr { return slog.String("old_id", id) }

// Reason says what went wrong, in one line.
func Reason(err error) slog.Attr { return slog.String("reason", err.Error()) }

// Expires is when the policy ends.
func Expires(t time.Time) slog.Attr { return slog.Time("expires", t.UTC().Truncate(time.Second)) }

// Socket is the path of the unix socket that the event is about.
func Socket(path string) slog.Attr { return slog.String("socket", path) }
