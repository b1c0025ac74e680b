package journal

import (
	"errors"
	"sync"
	"time"
)

const (
	// queueLength is the number of entries that can wait for a slow reader.
	queueLength = 1024
	// closeWait limits the time that close waits for the reader.
	closeWait = time.Second
)

var errClosed = errors.New("the log is closed")

// queue passes items to take in its own goroutine, because take blocks while the reader
// of the log is stopped or slow.
type queue[T any] struct {
	take func(T)
	// lost is called after take, with the number of items for which there was no room.
	lost  func(n int)
	items chan T
	done  chan struct{}

	mu      sync.Mutex
	dropped int // because the queue was full
	closed  bool
}

func newQueue[T any](take func(T), lost func(n int)) *queue[T] {
	q := &queue[T]{take: take, lost: lost, items: make(chan T, queueLength), done: make(chan struct{})}
	go q.run()
	return q
}

// put never blocks.
func (q *queue[T]) put(item T) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed {
		return errClosed
	}
	select {
	case q.items <- item:
	default:
		q.dropped++
	}
	return nil
}

func (q *queue[T]) close() {
	q.mu.Lock()
	if !q.closed {
		q.closed = true
		close(q.items)
	}
	q.mu.Unlock()
	select {
	case <-q.done:
	case <-time.After(closeWait):
	}
}

func (q *queue[T]) run() {
	defer close(q.done)
	for item := range q.items {
		q.take(item)
		if len(q.items) == 0 {
			q.reportLost()
		}
	}
}

func (q *queue[T]) reportLost() {
	q.mu.Lock()
	dropped := q.dropped
	q.dropped = 0
	q.mu.Unlock()
	if dropped > 0 {
		q.lost(dropped)
	}
}
