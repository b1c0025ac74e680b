package socketmap

import (
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxInFlight is the maximum number of lookups of one connection that wait
	// at the same time.
	maxInFlight = 16
	// minBuffer is the size of an idle connection's input buffer. A pipeline of
	// lookups fits.
	minBuffer = 1 << 10
	// usualReply is a size that most replies fit in.
	usualReply = 256
	// maxBuffer is the size of the input buffer for the longest request.
	maxBuffer = MaxRequest + 16
	// flushAt is the size at which output is written before more is added, and
	// the largest output buffer that a connection keeps.
	flushAt = 32 << 10
)

// conn is one client's connection.
//
// While no lookup waits, the goroutine that reads also writes. A lookup that
// has to wait gets a goroutine of its own and a place in the queue of pending
// replies. The goroutine that completes the head of the queue writes all
// replies that are ready. So replies keep the order of requests, and a lookup
// that memory answers needs no second goroutine.
type conn struct {
	server *Server
	opened int64 // stamp of Connections, set when it is registered

	// The reading goroutine owns these.
	socket socket
	buf    []byte // buf[:filled] has been read and not yet handled
	filled int
	req    Request       // the request that is being handled
	readAt int64         // when it was read
	reply  []byte        // scratch for Handler.Answer
	slots  chan struct{} // one element for each pending reply; nil until the first

	// Stamps of Connections, for evictable and overdue.
	//
	// idleSince is when the last reply was written or, before the first request,
	// when the connection was opened. It is 0 while a request is being handled. It
	// has no meaning while waiting is not 0.
	idleSince atomic.Int64
	partial   atomic.Int64 // when the first part of an incomplete request arrived; 0 without one
	writing   atomic.Int64 // when the write that now blocks began; 0 if none does
	asked     atomic.Bool  // a complete request has been read
	closed    atomic.Bool  // cut has been called

	// readUntil is when drain ends reading; zero before drain. Connections.mu
	// guards it and the read deadline of the socket.
	readUntil time.Time

	// waiting counts the pending replies and the request that enqueue is about to
	// add. While it is not 0, the connection holds a place of Connections. Only
	// the reading goroutine increases it, and sendReady decreases it after it has
	// written. So if the reading goroutine finds 0, it owns out without mu.
	waiting atomic.Int32
	mu      sync.Mutex
	pending []*pendingReply // guarded by mu
	// out has replies that are not yet written. The reading goroutine owns it
	// while waiting is 0, else the holder of mu does.
	out []byte
}

// pendingReply is an element of the queue of replies.
type pendingReply struct {
	Reply
	ready bool
}

func newConn(s *Server, nc net.Conn) *conn {
	return &conn{server: s, socket: socket{Conn: nc, fd: noDescriptor}, buf: make([]byte, minBuffer),
		reply: make([]byte, 0, usualReply), out: make([]byte, 0, usualReply)}
}

// serve answers lookups until the client closes the connection or Shutdown
// begins, and then the lookups that still wait.
func (c *conn) serve() {
	growStack()
	err := c.serveRequests()
	c.awaitReplies()
	c.flush()
	c.socket.Close()
	var malformed *ProtocolError
	if errors.As(err, &malformed) {
		c.server.logger.Debug("Connection closed", "client", c.socket.RemoteAddr(), "reason", err)
	}
}

// serveRequests reads and handles requests until the connection ends. It returns
// why.
func (c *conn) serveRequests() error {
	for {
		err := c.socket.each(c.room, c.took)
		if !errors.Is(err, os.ErrDeadlineExceeded) || !c.goOn() {
			return err
		}
	}
}

// room is the free part of the input buffer.
func (c *conn) room() []byte { return c.buf[c.filled:] }

// took handles the requests that n more bytes complete.
func (c *conn) took(n int) error {
	c.filled += n
	used, err := c.handleAll(c.buf[:c.filled])
	c.req = Request{} // its strings keep everything alive that was read with them
	if err != nil {
		return err
	}
	c.filled = copy(c.buf, c.buf[used:c.filled])
	c.notePartial(used > 0)
	if c.filled == len(c.buf) {
		c.buf = append(c.buf, make([]byte, min(len(c.buf), maxBuffer-len(c.buf)))...)
	}
	if err := c.flush(); err != nil {
		return err
	}
	if used > 0 && c.waiting.Load() == 0 {
		c.idleSince.Store(c.readAt)
	}
	return nil
}

// notePartial sets partial. fresh is set if the incomplete request in the buffer
// follows a complete one.
func (c *conn) notePartial(fresh bool) {
	switch {
	case c.filled == 0:
		if c.partial.Load() != 0 {
			c.partial.Store(0)
		}
	case fresh || c.partial.Load() == 0:
		c.partial.Store(c.server.conns.now())
	}
}

// handleAll handles the complete requests at the beginning of in and returns
// how many bytes they take.
func (c *conn) handleAll(in []byte) (used int, err error) {
	chunk := string(in) // requests are parts of it, so this is the only allocation
	for {
		text, n, err := c.server.protocol.next(chunk[used:])
		if n == 0 || err != nil {
			return used, err
		}
		if used == 0 {
			c.begin()
		}
		used += n
		if err := c.handle(text); err != nil {
			return used, err
		}
	}
}

// begin notes that requests are being handled, and when they were read.
func (c *conn) begin() {
	c.idleSince.Store(0)
	if !c.asked.Load() {
		c.asked.Store(true)
	}
	c.readAt = c.server.conns.now()
	c.req.At = c.server.conns.time(c.readAt)
}

// handle answers one request or adds it to the queue.
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
	c.reply = nil // it may have grown too
	return c.flush()
}

// answer returns the reply to c.req if that does not have to wait.
func (c *conn) answer(dst []byte, malformed error) (Reply, bool) {
	if malformed != nil {
		return Reply{Perm, append(dst, malformed.Error()...)}, true
	}
	return c.server.handler.Answer(dst, &c.req)
}

// enqueue adds c.req to the queue of pending replies. It blocks while maxInFlight
// of them wait, and while the connection can have no place.
func (c *conn) enqueue(malformed error) error {
	if err := c.flush(); err != nil {
		return err
	}
	if err := c.takeSlot(); err != nil {
		return err
	}
	c.req.At = time.Now() // takeSlot may have taken a while
	p := &pendingReply{}
	p.Reply, p.ready = c.answer(nil, malformed)

	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending = append(c.pending, p)
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

// takeSlot waits until one more reply may be pending. If other connections wait
// for a place, this one first gives its place back, as if it were idle.
func (c *conn) takeSlot() error {
	if c.slots == nil {
		c.slots = make(chan struct{}, maxInFlight)
	}
	if c.server.conns.placesWanted.Load() > 0 {
		c.awaitReplies()
	}
	c.slots <- struct{}{}
	if c.waiting.Add(1) > 1 || c.server.conns.takePlace(c) {
		return nil
	}
	c.waiting.Add(-1)
	<-c.slots
	return net.ErrClosed
}

// awaitReplies waits until no reply is pending.
func (c *conn) awaitReplies() {
	for range cap(c.slots) {
		c.slots <- struct{}{}
	}
	for range cap(c.slots) {
		<-c.slots
	}
}

// sendReady writes the replies at the head of the queue that are ready. mu is
// held.
func (c *conn) sendReady() error {
	sent := 0
	for sent < len(c.pending) && c.pending[sent].ready {
		c.out = c.server.protocol.appendReply(c.out, c.pending[sent].Reply)
		sent++
	}
	if sent == 0 {
		return nil
	}
	err := c.write()
	c.pending = slices.Delete(c.pending, 0, sent)
	c.idleSince.Store(c.server.conns.now())
	if c.waiting.Add(int32(-sent)) == 0 {
		c.server.conns.leavePlace(c)
	}
	for range sent {
		<-c.slots
	}
	return err
}

// flush writes the replies that the reading goroutine has appended to out. While
// lookups wait, their goroutines own out and write it.
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
	c.writing.Store(c.server.conns.now())
	_, err := c.socket.Write(c.out)
	c.writing.Store(0)
	c.clear()
	return err
}

// clear empties out, and frees it if it has grown.
func (c *conn) clear() {
	if c.out = c.out[:0]; cap(c.out) > flushAt {
		c.out = nil
	}
}

// growStack grows the stack of a goroutine to the size that a lookup needs, while
// there are few frames to move. Without it the stack doubles twice further down,
// which costs 13 % of the processor time of a connection with one lookup.
//
//go:noinline
func growStack() {
	var frame [4 << 10]byte
	keepOnStack(&frame)
}

//go:noinline
func keepOnStack(*[4 << 10]byte) {}
