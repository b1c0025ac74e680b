package journal

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"
)

// Unblocked is a slog.Handler that writes each record to a file or pipe in its own
// goroutine. As with [Handler], logging never blocks.
type Unblocked struct {
	slog.Handler
	queue *queue[[]byte]
}

// NewUnblocked returns an Unblocked that writes to w. format makes its handlers, which call
// Write once for each record, as those of log/slog do. Close it after use.
func NewUnblocked(w io.Writer, format func(io.Writer) slog.Handler) *Unblocked {
	write := func(line []byte) { _, _ = w.Write(line) } // if this fails, there is no other place to report it
	direct := format(w)
	lost := func(n int) {
		words := fmt.Sprintf("%d log entries lost while their reader was behind", n)
		_ = direct.Handle(context.Background(), slog.NewRecord(time.Now(), slog.LevelWarn, words, 0))
	}
	u := &Unblocked{queue: newQueue(write, lost)}
	u.Handler = format(lines{u.queue})
	return u
}

// Close waits until the queued records are written, at most closeWait. Later records
// are lost.
func (u *Unblocked) Close() { u.queue.close() }

// lines puts each write into a queue.
type lines struct{ queue *queue[[]byte] }

func (l lines) Write(line []byte) (int, error) {
	if err := l.queue.put(slices.Clone(line)); err != nil {
		return 0, err
	}
	return len(line), nil
}
