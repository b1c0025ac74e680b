// Package journal has slog handlers for systemd's journal: [Handler] sends records
// with journald's native protocol, [Unblocked] writes them to a pipe or file, [Limiter]
// summarises floods of events.
package journal

import (
	"context"
	"io"
	"log/slog"
	"os"
	"slices"

	systemd "github.com/coreos/go-systemd/v22/journal"
)

// Handler sends records to journald with their attributes as fields: domain
// becomes MTASTS_DOMAIN, expires MTASTS_EXPIRES, and so on. The ID of an event
// becomes MESSAGE_ID. If journald refuses a record, the fallback handler gets it.
//
// Logging never blocks, because a stopped or slow journald must not delay mail. A
// thousand records wait in a queue; more are dropped, and their number is logged.
type Handler struct {
	writer   *writer
	fallback slog.Handler
	group    string
	attrs    []slog.Attr // flattened
}

// New returns a Handler that passes records to fallback if journald refuses them,
// and that is enabled for the same levels as fallback. Close it after use.
func New(fallback slog.Handler) *Handler { return newHandler(fallback, systemd.Send) }

func newHandler(fallback slog.Handler, send sendFunc) *Handler {
	return &Handler{writer: newWriter(send, fallback), fallback: fallback}
}

// Close waits until the queued records are sent, at most closeWait. Later records
// are lost.
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

// IsStderr reports whether w is standard error and systemd has connected it to the
// journal.
func IsStderr(w io.Writer) bool {
	if w != os.Stderr {
		return false
	}
	// An error means that JOURNAL_STREAM was not set by systemd.
	is, err := systemd.StderrIsJournalStream()
	return is && err == nil
}
