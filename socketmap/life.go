package socketmap

import "time"

// idleSince returns when the connection was last of use, and whether it is of
// none at the moment.
func (c *conn) idleSince() (since int64, idle bool) {
	return c.lastUsed.Load(), c.waiting.Load() == 0 && c.writing.Load() == 0
}

// overdue reports whether the client has used up one of its limits.
func (c *conn) overdue(now int64) bool {
	past := func(since int64, limit time.Duration) bool {
		return since != 0 && limit != 0 && time.Duration(now-since) > limit
	}
	since, idle := c.idleSince()
	return idle && past(since, c.server.idle) ||
		past(c.reading.Load(), requestTimeout) || past(c.writing.Load(), writeTimeout)
}

// recheck has the reading goroutine ask the kernel what there is, should it wait
// without having asked. The server's mu is held, as for goOn and drain.
func (c *conn) recheck(now int64) {
	if since, idle := c.idleSince(); idle && c.socket.trusting.Load() && time.Duration(now-since) > sweepInterval {
		c.socket.SetReadDeadline(time.Unix(1, 0))
	}
}

// goOn readies the connection for more reading after a deadline, unless that was
// drain's.
func (c *conn) goOn() bool {
	if !c.readUntil.IsZero() && !time.Now().Before(c.readUntil) {
		return false
	}
	c.socket.SetReadDeadline(c.readUntil)
	return true
}

// drain lets the connection end as soon as what was asked is answered.
func (c *conn) drain() {
	c.readUntil = time.Now().Add(drainGrace)
	c.socket.SetReadDeadline(c.readUntil)
}

// cut ends the connection without delay. To close it takes the reading goroutine,
// which may be waiting for somebody who calls this.
func (c *conn) cut() { go c.socket.Close() }
