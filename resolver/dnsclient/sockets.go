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
	// maxIdle bounds the sockets that are kept for other questions. A hundred
	// mail processes, Postfix's default, ask two or three at once each.
	maxIdle = 256
	// idleLife is how long a socket is kept that no question needs, give or
	// take once more as long.
	idleLife = time.Second
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
	last   uint16 // the id of its last question
	// spoilt is set where something may still come of its last question, or
	// came that should not have.
	spoilt bool
}

// open returns a socket to server, which is to be given back.
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

// giveBack ends the use of a socket.
func (s *sockets) giveBack(used *socket) {
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

// send puts q on the wire, under an id of its own.
func (s *socket) send(q query, packets *packets) error {
	buf := packets.take()
	defer packets.put(buf)
	_, err := s.Write(q.appendTo(buf[:0], s.newID()))
	s.spoilt = err != nil
	return err
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

// receive waits for the reply to q. What is no reply to it is passed over,
// not an error: otherwise anyone who can send a forged packet could make a lookup
// fail.
func (s *socket) receive(q query, packets *packets) (*dns.Msg, error) {
	buf := packets.take()
	defer packets.put(buf)
	for {
		n, err := s.Read(buf[:])
		if err != nil {
			s.spoilt = true
			return nil, err
		}
		if reply, err := parseReply(buf[:n], q, s.last); err == nil {
			return reply, nil
		}
		s.spoilt = true
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
