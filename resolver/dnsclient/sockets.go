package dnsclient

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/miekg/dns"
)

const (
	// maxIdle bounds the sockets that are kept for other questions.
	maxIdle = 64
	// idleLife is how long a socket is kept that no question needs, give or
	// take once more as long.
	idleLife = 5 * time.Second
)

// sockets are UDP sockets to DNS servers. One that asked a server on the
// loopback interface is used again: off this host nobody can send packets
// there, so nothing is won by a random port for each question, and opening a
// socket costs as much as asking. For any other server each question has a
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

// socket is connected to a server: the kernel passes packets of its address and
// port alone. It has one question at a time.
type socket struct {
	*net.UDPConn
	server netip.AddrPort
	last   uint16 // the id of the question before
}

// open returns a socket to server. It is to be given to keep or closed.
func (s *sockets) open(ctx context.Context, server netip.AddrPort) (*socket, error) {
	if idle := s.take(server); idle != nil {
		return idle, nil
	}
	conn, err := new(net.Dialer).DialUDP(ctx, "udp", netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	return &socket{UDPConn: conn, server: server}, nil
}

// keep takes a socket back whose question has been answered, and on which
// nothing else came and nothing can come but that answer once more.
func (s *sockets) keep(used *socket) {
	if !used.server.Addr().Unmap().IsLoopback() || !s.put(used) {
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

// newID returns a random query id. It is not that of the question before, whose
// answer may come twice.
func (s *socket) newID() uint16 {
	for {
		if id := dns.Id(); id != s.last {
			s.last = id
			return id
		}
	}
}

// packets are room for UDP messages, used again: replies are copied out of it.
type packets struct{ pool sync.Pool }

func (p *packets) take() *[readSize]byte {
	if buf, ok := p.pool.Get().(*[readSize]byte); ok {
		return buf
	}
	return new([readSize]byte)
}

func (p *packets) put(buf *[readSize]byte) { p.pool.Put(buf) }
