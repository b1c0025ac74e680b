package journal

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	systemd "github.com/coreos/go-systemd/v22/journal"
)

const (
	// queueLength is the number of entries that can wait for a slow journald.
	queueLength = 1024
	// closeWait limits the time that close waits for journald.
	closeWait = time.Second
)

var errClosed = errors.New("the journal is closed")

type sendFunc func(message string, priority systemd.Priority, fields map[string]string) error

// writer sends entries in its own goroutine, because sending blocks while
// journald's socket is full.
type writer struct {
	send     sendFunc
	fallback slog.Handler
	queue    chan entry
	done     chan struct{}

	mu     sync.Mutex
	lost   int // because the queue was full
	closed bool
}

func newWriter(send sendFunc, fallback slog.Handler) *writer {
	w := &writer{send: send, fallback: fallback, queue: make(chan entry, queueLength), done: make(chan struct{})}
	go w.run()
	return w
}

// put never blocks.
func (w *writer) put(e entry) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errClosed
	}
	select {
	case w.queue <- e:
	default:
		w.lost++
	}
	return nil
}

func (w *writer) close() {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		close(w.queue)
	}
	w.mu.Unlock()
	select {
	case <-w.done:
	case <-time.After(closeWait):
	}
}

func (w *writer) run() {
	defer close(w.done)
	for e := range w.queue {
		w.write(e)
		if len(w.queue) == 0 {
			w.reportLost()
		}
	}
}

func (w *writer) write(e entry) {
	if err := w.send(e.message, e.priority, e.fields); err != nil {
		// If this fails too, there is no other place to report it.
		_ = e.fallback.Handle(context.Background(), e.record)
	}
}

func (w *writer) reportLost() {
	w.mu.Lock()
	lost := w.lost
	w.lost = 0
	w.mu.Unlock()
	if lost > 0 {
		words := fmt.Sprintf("%d log entries lost while the journal was behind", lost)
		w.write(newEntry(slog.NewRecord(time.Now(), slog.LevelWarn, words, 0), nil, w.fallback))
	}
}
