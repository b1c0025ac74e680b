package socketmap

import (
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// overLimit is how many connections over the limit are accepted when none
	// can be closed. They wait for a place before a lookup that takes time.
	overLimit = 64
	// protectedTime is how long a new connection is not closed to make room: the
	// time that its client has to send a request.
	protectedTime = time.Second
	// protectedWhenFull is the same while no further connection can be accepted, because
	// of overLimit or for want of descriptors. With a whole second, silent clients
	// that connect again and again would hold up the others for many seconds.
	protectedWhenFull = 50 * time.Millisecond
	// roomRetry is the interval at which a server that can accept no further
	// connection looks again for one to close.
	roomRetry = 10 * time.Millisecond
)

// Connections is the registry of the connections of all servers that share it.
// It limits their number and how many have lookups under way.
//
// A new connection over the limit takes the place of the one that is worth
// least: see [conn.evictable]. Postfix opens another when it needs one, whereas
// a lookup that gets no answer defers a message. If no connection can be closed,
// up to overLimit more are accepted. Lookups that memory can answer never wait
// there; one that has to wait also waits for a place.
type Connections struct {
	max   int
	start time.Time // stamps are nanoseconds since then, plus 1

	// places has one element for each connection with lookups under way, at most
	// max. Readers that wait to add one are served in their order.
	places       chan struct{}
	placesWanted atomic.Int32 // readers that wait

	// roomWanted is set while a server needs a connection closed and none can be.
	roomWanted atomic.Bool

	// mu guards the set, and of each conn in it readUntil and the read deadline.
	mu    sync.Mutex
	conns map[*conn]struct{}
}

// NewConnections returns a registry with a limit of max connections.
func NewConnections(max int) *Connections {
	return &Connections{max: max, start: time.Now(), places: make(chan struct{}, max), conns: map[*conn]struct{}{}}
}

// Len returns how many connections are open.
func (cs *Connections) Len() int {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	return len(cs.conns)
}

// now is the clock of the connections' stamps. It is never 0.
func (cs *Connections) now() int64 { return int64(time.Since(cs.start)) + 1 }

// time converts a stamp.
func (cs *Connections) time(stamp int64) time.Time { return cs.start.Add(time.Duration(stamp - 1)) }

// add registers c as soon as there is room. It returns false if the server's
// Shutdown began before.
func (cs *Connections) add(c *conn) bool {
	for !cs.tryAdd(c) {
		if !c.server.pause(roomRetry) {
			return false
		}
	}
	return true
}

func (cs *Connections) tryAdd(c *conn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	for len(cs.conns) >= cs.max && cs.closeOne(protectedTime) {
	}
	full := len(cs.conns) >= cs.max+overLimit && !cs.closeOne(protectedWhenFull)
	cs.roomWanted.Store(full)
	if full {
		return false
	}
	c.opened = cs.now()
	c.idleSince.Store(c.opened)
	cs.conns[c] = struct{}{}
	if c.server.accepting.Err() != nil {
		c.drain()
	}
	return true
}

// makeRoom closes a connection to free its file descriptor. It returns false if
// none can be closed.
func (cs *Connections) makeRoom() bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	closed := cs.closeOne(protectedTime) || cs.closeOne(protectedWhenFull)
	cs.roomWanted.Store(!closed)
	return closed
}

// closeOne closes the connection that is worth least, but none that was opened
// less than protected ago. mu is held.
func (cs *Connections) closeOne(protected time.Duration) bool {
	var victim *conn
	var silent bool
	var since int64
	now := cs.now()
	for c := range cs.conns {
		s, at, ok := c.evictable(now, protected)
		if ok && (victim == nil || s && !silent || s == silent && at < since) {
			victim, silent, since = c, s, at
		}
	}
	if victim != nil {
		cs.evict(victim)
	}
	return victim != nil
}

// evict closes c. mu is held.
func (cs *Connections) evict(c *conn) {
	delete(cs.conns, c)
	c.cut()
}

func (cs *Connections) remove(c *conn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.conns, c)
}

// of yields the connections of s. mu is held.
func (cs *Connections) of(s *Server) iter.Seq[*conn] {
	return func(yield func(*conn) bool) {
		for c := range cs.conns {
			if c.server == s && !yield(c) {
				return
			}
		}
	}
}

// takePlace waits until c may have lookups under way. It returns false if c was
// closed meanwhile, or its server ended.
func (cs *Connections) takePlace(c *conn) bool {
	select {
	case cs.places <- struct{}{}:
		return true
	default:
	}
	cs.placesWanted.Add(1)
	defer cs.placesWanted.Add(-1)
	select {
	case cs.places <- struct{}{}:
	case <-c.server.ctx.Done():
		return false
	}
	if c.closed.Load() {
		<-cs.places
		return false
	}
	return true
}

// leavePlace gives back the place of c, whose lookups have been answered. If a
// server waits for room, it also closes c: the client may ask again at once, and
// add would never find the connection idle.
func (cs *Connections) leavePlace(c *conn) {
	<-cs.places
	if !cs.roomWanted.Load() {
		return
	}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if _, _, ok := c.evictable(cs.now(), protectedWhenFull); ok {
		cs.evict(c)
	}
}
