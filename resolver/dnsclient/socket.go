package dnsclient

import (
	"net"
	"net/netip"
	"os"
	"syscall"

	"github.com/miekg/dns"
)

// socket is connected to a server: the kernel passes packets of its address and
// port alone. It has one question at a time.
type socket struct {
	*net.UDPConn
	raw    syscall.RawConn
	server netip.AddrPort
	last   uint16 // the id of its last question
	// spoilt: a late reply to its last question may come, or an unexpected packet
	// has come. It must not be used again.
	spoilt bool

	// packet is the buffer for sending and receiving; nil without a question.
	packet *packet
	unsent []byte // the query in packet, until it is sent
	// The results of the last step of read.
	n   int
	err error
}

func newSocket(conn *net.UDPConn, server netip.AddrPort) (*socket, error) {
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, err
	}
	return &socket{UDPConn: conn, raw: raw, server: server}, nil
}

// pose makes q, under an id of its own, the question that receive sends and
// waits for.
func (s *socket) pose(q query) { s.unsent = q.appendTo(s.packet[:0], s.newID()) }

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

// receive waits for the reply to q, which has been posed. Other packets are
// ignored: as errors they would let anybody who can send a forged packet make
// lookups fail.
func (s *socket) receive(q query) (*dns.Msg, error) {
	for {
		data, err := s.read()
		if err != nil {
			return nil, err
		}
		if reply, err := parseReply(data, q, s.last); err == nil {
			return reply, nil
		}
		s.spoilt = true
	}
}

// read sends the query, unless that has been done, and waits for the next datagram. The
// result is valid until packet is used again.
//
// With Write and then Read, the first read system call of three would always be too
// early. Here both are steps of one wait of the runtime's poller. The poller watches the
// socket from before the first step, so a reply that comes during it is not missed.
func (s *socket) read() ([]byte, error) {
	if err := s.raw.Read(s.step); err != nil {
		return nil, err
	}
	return s.packet[:s.n], s.err
}

// step sends or else reads, and reports whether it has a datagram or an error. It
// is called first at once, then whenever something may have come.
func (s *socket) step(fd uintptr) bool {
	if s.unsent != nil {
		// There is always room: one query waits for its reply.
		_, err := retry(syscall.Write, fd, s.unsent)
		s.unsent, s.n, s.err = nil, 0, os.NewSyscallError("write", err)
		return err != nil
	}
	n, err := retry(syscall.Read, fd, s.packet[:])
	s.n, s.err = max(n, 0), os.NewSyscallError("read", err)
	return err != syscall.EAGAIN
}

// retry makes a system call until no signal interrupts it.
func retry(call func(fd int, p []byte) (int, error), fd uintptr, p []byte) (int, error) {
	for {
		n, err := call(int(fd), p)
		if err != syscall.EINTR {
			return n, err
		}
	}
}
