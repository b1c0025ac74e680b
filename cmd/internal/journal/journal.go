// Package journal has the slog handlers of a daemon that logs to systemd's
// journal: one speaks journald's native protocol, one keeps a flood of events
// out of it.
package journal

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"

	systemd "github.com/coreos/go-systemd/v22/journal"
)

// Handler sends records to journald with their attributes as fields: domain is
// MTASTS_DOMAIN, expires MTASTS_EXPIRES, and so on with every other key; an
// event is MESSAGE_ID. A record that journald does not take goes to another
// handler.
//
// Whoever logs never waits: journald may be stopped or behind, and mail must go
// on. While it is, some thousand records are kept; the number of those lost
// after that is told.
type Handler struct {
	writer   *writer
	fallback slog.Handler
	group    string
	attrs    []slog.Attr // flattened
}

// New returns a Handler that gives fallback what journald does not take, and
// that is enabled where fallback is. It is to be closed.
func New(fallback slog.Handler) *Handler { return newHandler(fallback, systemd.Send) }

func newHandler(fallback slog.Handler, send sendFunc) *Handler {
	return &Handler{writer: newWriter(send, fallback), fallback: fallback}
}

// Close waits for the records logged so far, but not for a journald that takes
// none. What is logged later is lost.
func (h *Handler) Close() { h.writer.close() }

// Enabled implements slog.Handler.
func (h *Handler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.fallback.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (h *Handler) Handle(_ context.Context, r slog.Record) error {
	attrs := slices.Clone(h.attrs)
	for a := range r.Attrs {
		attrs = flatten(attrs, h.group, a)
	}
	return h.writer.put(newEntry(r, attrs, h.fallback))
}

// WithAttrs implements slog.Handler.
func (h *Handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.fallback = h.fallback.WithAttrs(attrs)
	with.attrs = slices.Clone(h.attrs)
	for _, a := range attrs {
		with.attrs = flatten(with.attrs, h.group, a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *Handler) WithGroup(name string) slog.Handler {
	with := *h
	with.fallback = h.fallback.WithGroup(name)
	with.group = join(h.group, name)
	return &with
}

// IsStderr reports whether w is the standard error that systemd has connected
// to the journal.
func IsStderr(w io.Writer) bool {
	if w != os.Stderr {
		return false
	}
	// An error means a JOURNAL_STREAM that is not systemd's.
	is, err := systemd.StderrIsJournalStream()
	return is && err == nil
}
