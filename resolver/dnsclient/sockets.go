package dnsclient

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

const (
	// maxIdle bounds the sockets that are kept for other questions. A hundred
	// mail processes, Postfix's default, ask two or three at once each.
	maxIdle = 256
	// idleLife is how long an idle socket is kept at least; at most it is twice that.
	idleLife = time.Second
)

// sockets are UDP sockets to DNS servers. One that asked a server on the
// loopback interface is used again: other hosts cannot send packets there, so
// a random port for each question gains nothing, and opening a socket costs as much as
// a question. For any other server each question has a
// socket of its own (RFC 5452 section 9.2).
//
// The idle ones close after a while, also when nobody uses sockets any more.
type sockets struct {
	packets packets

	mu   sync.Mutex // guards what follows
	idle []*socket  // the one used last at the end
	// untouched is how many of idle, from the front, have not been taken since
	// the last sweep.
	untouched int
	sweeping  bool // a sweep is to come
}

// open returns a socket to server, for giveBack after use. It fails if ctx has ended.
func (s *sockets) open(ctx context.Context, server netip.AddrPort) (*socket, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	opened := s.take(server)
	if opened == nil {
		conn, err := new(net.Dialer).DialUDP(ctx, "udp", netip.AddrPort{}, server)
		if err != nil {
			return nil, err
		}
		if opened, err = newSocket(conn, server); err != nil {
			return nil, err
		}
	}
	opened.packet = s.packets.take()
	return opened, nil
}

// giveBack ends the use of a socket.
func (s *sockets) giveBack(used *socket) {
	s.packets.put(used.packet)
	used.packet = nil
	if used.spoilt || !used.server.Addr().Unmap().IsLoopback() || !s.put(used) {
		used.Close()
	}
}

// take returns an idle socket to server, or nil.
func (s *sockets) take(server netip.AddrPort) *socket {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, idle := range slices.Backward(s.idle) {
		if idle.server == server {
			s.idle = slices.Delete(s.idle, i, i+1)
			s.untouched = min(s.untouched, i)
			return idle
		}
	}
	return nil
}

// put reports whether there was room for one more.
func (s *sockets) put(used *socket) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.idle) == maxIdle {
		return false
	}
	s.idle = append(s.idle, used)
	if !s.sweeping {
		s.sweeping = true
		time.AfterFunc(idleLife, s.sweep)
	}
	return true
}

// sweep closes the sockets that no question needed since the last sweep.
func (s *sockets) sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, stale := range s.idle[:s.untouched] {
		stale.Close()
	}
	s.idle = slices.Delete(s.idle, 0, s.untouched)
	s.untouched = len(s.idle)
	if s.sweeping = len(s.idle) > 0; s.sweeping {
		time.AfterFunc(idleLife, s.sweep)
	}
}

// packet is room for a UDP message.
type packet [readSize]byte

// packets are used again: replies are copied out of them.
type packets struct{ pool sync.Pool }

func (p *packets) take() *packet {
	if used, ok := p.pool.Get().(*packet); ok {
		return used
	}
	return new(packet)
}

func (p *packets) put(used *packet) { p.pool.Put(used) }
