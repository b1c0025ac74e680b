package socketmap

import (
	"context"
	"sync"
	"time"
)

// roomRetry is how long to wait for one of too many busy connections to end or
// to fall idle.
const roomRetry = 10 * time.Millisecond

// Connections bounds how many connections the servers that share it keep.
type Connections struct {
	max   int
	start time.Time // what stamps count from

	mu    sync.Mutex
	conns map[*conn]bool
}

// NewConnections returns a bound of max connections in all.
func NewConnections(max int) *Connections {
	return &Connections{max: max, start: time.Now(), conns: map[*conn]bool{}}
}

// now is the clock of the connections' stamps, in nanoseconds, never 0.
func (cs *Connections) now() int64 { return int64(time.Since(cs.start)) + 1 }

// time returns when the clock said now.
func (cs *Connections) time(now int64) time.Time { return cs.start.Add(time.Duration(now - 1)) }

// add makes room for c: the connection idle longest is closed, because its
// client will open another when it needs one (Postfix does), while a lookup
// that is kept out is a message deferred. Where none is idle it waits. The
// result is false when ctx ended first.
func (cs *Connections) add(ctx context.Context, c *conn) bool {
	c.lastUsed.Store(cs.now())
	for !cs.tryAdd(c) {
		select {
		case <-time.After(roomRetry):
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (cs *Connections) tryAdd(c *conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.conns) >= cs.max && !cs.closeIdle() {
		return false
	}
	cs.conns[c] = true
	return true
}

// makeRoom closes the connection idle longest, if there is one, for want of
// something else that a connection takes.
func (cs *Connections) makeRoom() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return cs.closeIdle()
}

func (cs *Connections) closeIdle() bool {
	longest := cs.idleLongest()
	if longest == nil {
		return false
	}
	longest.cut()
	delete(cs.conns, longest)
	return true
}

func (cs *Connections) idleLongest() *conn {
	var longest *conn
	var earliest int64
	for c := range cs.conns {
		if since, idle := c.idleSince(); idle && (longest == nil || since < earliest) {
			longest, earliest = c, since
		}
	}
	return longest
}

func (cs *Connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.conns, c)
}
