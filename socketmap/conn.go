package socketmap

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"mta-sts-daemon/internal/stack"
)

const (
	// maxInFlight bounds the lookups of one connection that wait at once.
	maxInFlight = 16
	// minBuffer is what an idle connection costs; a pipeline of lookups fits.
	minBuffer = 1 << 10
	// usualReply holds most replies.
	usualReply = 256
	// maxBuffer holds the longest request.
	maxBuffer = MaxRequest + 16
	// flushAt is how much output is gathered before it is written, and the
	// largest output buffer that a connection keeps.
	flushAt = 32 << 10
)

// conn is one client's connection.
//
// As long as no lookup waits, the goroutine that reads also writes. A lookup
// that must wait gets a goroutine of its own and a place in the queue of
// pending replies; whichever goroutine completes the head of the queue writes
// all replies that have become ready. So replies keep the order of requests,
// and the common case pays for no hand-over.
type conn struct {
	server *Server
	socket socket
	buf    []byte // what has arrived and is not yet handled, in front
	filled int    // so much of it

	req   Request       // the one that the reading goroutine is at
	reply []byte        // scratch for Handler.Answer
	slots chan struct{} // of the lookups that wait; nil until there is one

	// By the clock of Connections: when the connection was last of use, and,
	// 0 while there is none, when the request of which a part has arrived began
	// and when the write under way did.
	lastUsed, reading, writing atomic.Int64

	// readUntil is when drain ends reading; zero before it is called. The
	// server's mu guards it and the socket's read deadline.
	readUntil time.Time

	// waiting is the length of pending. Only the reading goroutine lengthens
	// the queue, so where that sees 0, mu need not be held.
	waiting atomic.Int32
	mu      sync.Mutex
	pending []*pendingReply
	out     []byte // replies not yet written
}

// pendingReply is a place in the queue of replies.
type pendingReply struct {
	Reply
	ready bool
}

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{server: s, socket: socket{Conn: nc, fd: none}, buf: make([]byte, minBuffer),
		reply: make([]byte, 0, usualReply), out: make([]byte, 0, usualReply)}
}

// serve answers lookups until the client has gone or Shutdown has begun, and
// then those that still wait.
func (c *conn) serve() {
	stack.Grow()
	err := c.serveRequests()
	for range cap(c.slots) { // all free: nothing waits any more
		c.slots <- struct{}{}
	}
	c.flush()
	c.socket.Close()
	var malformed *ProtocolError
	if errors.As(err, &malformed) {
		c.server.logger.Debug("Connection closed", "client", c.socket.RemoteAddr(), "reason", err)
	}
}

// serveRequests reads and handles requests until the connection ends, and returns
// why it does.
func (c *conn) serveRequests() error {
	for {
		err := c.socket.each(c.room, c.took)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.server.goOn(c) {
			return err
		}
	}
}

// room is where the next octets go, behind those of a request's beginning.
func (c *conn) room() []byte { return c.buf[c.filled:] }

// took handles the requests that n more octets complete.
func (c *conn) took(n int) error {
	c.filled += n
	used, err := c.handleAll(c.buf[:c.filled])
	c.req = Request{} // or an idle connection would keep all of it
	if err != nil {
		return err
	}
	c.filled = copy(c.buf, c.buf[used:c.filled])
	c.notePartial(c.filled > 0, used > 0)
	if c.filled == len(c.buf) {
		c.buf = append(c.buf, make([]byte, min(len(c.buf), maxBuffer-len(c.buf)))...)
	}
	return c.flush()
}

// notePartial keeps the time since which a request has been incomplete.
func (c *conn) notePartial(partial, fresh bool) {
	switch {
	case !partial:
		if c.reading.Load() != 0 {
			c.reading.Store(0)
		}
	case fresh || c.reading.Load() == 0:
		c.reading.Store(c.server.conns.now())
	}
}

// handleAll handles the complete requests at the beginning of in and returns
// how many bytes they take.
func (c *conn) handleAll(in []byte) (used int, err error) {
	chunk := string(in) // at once: requests are parts of it, and cost nothing more
	for {
		text, n, err := c.server.protocol.next(chunk[used:])
		if n == 0 || err != nil {
			return used, err
		}
		if used == 0 {
			now := c.server.conns.now()
			c.lastUsed.Store(now)
			c.req.At = c.server.conns.time(now)
		}
		used += n
		if err := c.handle(text); err != nil {
			return used, err
		}
	}
}

// handle answers one request, or sees to it that it will be answered.
func (c *conn) handle(text string) error {
	err := c.server.protocol.parse(text, &c.req)
	if c.waiting.Load() > 0 {
		return c.enqueue(err)
	}
	reply, ok := c.answer(c.reply[:0], err)
	if !ok {
		return c.enqueue(nil)
	}
	c.out = c.server.protocol.appendReply(c.out, reply)
	c.reply = reply.Data
	if len(c.out) < flushAt {
		return nil
	}
	c.reply = nil // it may have grown with them
	return c.flush()
}

// answer gives the reply to c.req that needs no waiting.
func (c *conn) answer(dst []byte, malformed error) (Reply, bool) {
	if malformed != nil {
		return Reply{Perm, append(dst, malformed.Error()...)}, true
	}
	return c.server.handler.Answer(dst, &c.req)
}

// enqueue gives c.req its place among the pending replies. It blocks while
// maxInFlight of them wait.
func (c *conn) enqueue(malformed error) error {
	if err := c.flush(); err != nil {
		return err
	}
	if c.slots == nil {
		c.slots = make(chan struct{}, maxInFlight)
	}
	c.slots <- struct{}{}
	c.req.At = time.Now() // that may have taken a while
	p := &pendingReply{}
	p.Reply, p.ready = c.answer(nil, malformed)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, p)
	c.waiting.Store(int32(len(c.pending)))
	if p.ready {
		return c.sendReady()
	}
	req := c.req
	go func() {
		reply := c.server.handler.Wait(c.server.ctx, nil, &req)
		c.mu.Lock()
		defer c.mu.Unlock()
		p.Reply, p.ready = reply, true
		if c.sendReady() != nil {
			c.cut() // wakes the reader
		}
	}()
	return nil
}

// sendReady writes the replies at the head of the queue that are ready. mu is
// held. The queue gets shorter only once they are written, so that the reader
// does not write beside it.
func (c *conn) sendReady() error {
	sent := 0
	for sent < len(c.pending) && c.pending[sent].ready {
		c.out = c.server.protocol.appendReply(c.out, c.pending[sent].Reply)
		sent++
	}
	if sent == 0 {
		return nil
	}
	c.lastUsed.Store(c.server.conns.now())
	err := c.write()
	c.pending = slices.Delete(c.pending, 0, sent)
	c.waiting.Store(int32(len(c.pending)))
	for range sent {
		<-c.slots
	}
	return err
}

// flush writes what the reading goroutine has gathered. While lookups wait
// there is nothing: whoever completes them writes.
func (c *conn) flush() error {
	if c.waiting.Load() > 0 || len(c.out) == 0 {
		return nil
	}
	sent := c.socket.writeNow(c.out)
	if sent == len(c.out) {
		c.clear()
		return nil
	}
	c.out = c.out[:copy(c.out, c.out[sent:])]
	return c.write()
}

// write writes out, however long the client takes.
func (c *conn) write() error {
	c.writing.Store(c.lastUsed.Load())
	_, err := c.socket.Write(c.out)
	c.writing.Store(0)
	c.clear()
	return err
}

// clear empties out, and lets go of one that has grown.
func (c *conn) clear() {
	if c.out = c.out[:0]; cap(c.out) > flushAt {
		c.out = nil
	}
}
