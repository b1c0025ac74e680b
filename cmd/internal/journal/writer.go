package journal

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"
)

type sendFunc func(message string, priority systemd.Priority, fields map[string]string) error

// writer sends entries to journald.
type writer struct {
	*queue[entry]
	send     sendFunc
	fallback slog.Handler
}

func newWriter(send sendFunc, fallback slog.Handler) *writer {
	w := &writer{send: send, fallback: fallback}
	w.queue = newQueue(w.write, w.writeLost)
	return w
}

func (w *writer) write(e entry) {
	if err := w.send(e.message, e.priority, e.fields); err != nil {
		// If this fails too, there is no other place to report it.
		_ = e.fallback.Handle(context.Background(), e.record)
	}
}

func (w *writer) writeLost(n int) {
	words := fmt.Sprintf("%d log entries lost while the journal was behind", n)
	w.write(newEntry(slog.NewRecord(time.Now(), slog.LevelWarn, words, 0), nil, w.fallback))
}
