package socketmap

import "time"

// evictable reports whether the connection may be closed to make room for another:
// not if it was opened less than protected ago, and not while a lookup is under way.
// silent connections are closed first: for a second or more they have sent no
// complete request, or read no reply. Of several the one with the smallest since
// is closed.
func (c *conn) evictable(now int64, protected time.Duration) (silent bool, since int64, ok bool) {
	recent := func(since int64, limit time.Duration) bool { return time.Duration(now-since) < limit }
	partial, writing := c.partial.Load(), c.writing.Load()
	idle := c.idleSince.Load()
	switch {
	case recent(c.opened, protected):
		return false, 0, false
	case writing != 0:
		return true, writing, !recent(writing, protectedTime)
	case idle == 0 || c.waiting.Load() > 0:
		return false, 0, false
	case !c.asked.Load():
		return true, c.opened, true
	case partial != 0 && !recent(partial, protectedTime):
		return true, partial, true
	}
	return false, idle, true
}

// overdue reports whether the client has used up one of its time limits.
func (c *conn) overdue(now int64) bool {
	past := func(since int64, limit time.Duration) bool {
		return since != 0 && limit != 0 && time.Duration(now-since) > limit
	}
	return c.waiting.Load() == 0 && past(c.idleSince.Load(), c.server.idle) ||
		past(c.partial.Load(), requestTimeout) || past(c.writing.Load(), writeTimeout)
}

// recheck makes the reading goroutine read again if it waits after a short read,
// without EAGAIN (see socket). Connections.mu is held, as for drain.
func (c *conn) recheck(now int64) {
	idle := c.waiting.Load() == 0 && c.idleSince.Load() != 0
	if idle && c.socket.skipped.Load() && time.Duration(now-c.idleSince.Load()) > sweepInterval {
		c.socket.SetReadDeadline(time.Unix(1, 0))
	}
}

// goOn prepares the connection for more reading after a read deadline has passed.
// It returns false if drain set that.
func (c *conn) goOn() bool {
	c.server.conns.mu.Lock()
	defer c.server.conns.mu.Unlock()
	if !c.readUntil.IsZero() && !time.Now().Before(c.readUntil) {
		return false
	}
	c.socket.SetReadDeadline(c.readUntil)
	return true
}

// drain ends reading after the server's grace, so that the connection ends when all its
// requests are answered.
func (c *conn) drain() {
	c.readUntil = time.Now().Add(c.server.grace)
	c.socket.SetReadDeadline(c.readUntil)
}

// cut closes the connection at once. Close may block until the reading goroutine
// lets go of the descriptor, and that may be waiting for the caller.
func (c *conn) cut() {
	c.closed.Store(true)
	go c.socket.Close()
}
