package load

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Target is a server's address and protocol.
type Target struct {
	Network  string // "tcp" or "unix"
	Address  string // IP:port or path
	Protocol Protocol
}

const (
	closed = -1 // in place of a descriptor

	// minRead is room for the usual replies.
	minRead = 4 << 10
)

// conn is one connection. Its calls can block but do not in practice: it is read
// only when data has arrived, and the requests in flight fit into the kernel's
// buffers.
type conn struct {
	fd       int
	key      []byte // scratch
	out      []byte // not yet written
	in       []byte // the beginning of a reply
	inFlight []time.Duration
}

func (c *conn) dial(to Target, reconnects bool) error {
	family, addr, err := sockaddr(to)
	if err != nil {
		return err
	}
	if c.fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0); err != nil {
		return err
	}
	if to.Network == "tcp" {
		if err := unix.SetsockoptInt(c.fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1); err != nil {
			return err
		}
		if reconnects {
			// Closed by a reset, no port waits for a minute: there are only
			// some 28,000.
			if err := unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1}); err != nil {
				return err
			}
		}
	}
	if err := unix.Connect(c.fd, addr); err != nil {
		return fmt.Errorf("connecting to %s: %w", to.Address, err)
	}
	return nil
}

func sockaddr(to Target) (family int, addr unix.Sockaddr, err error) {
	if to.Network == "unix" {
		return unix.AF_UNIX, &unix.SockaddrUnix{Name: to.Address}, nil
	}
	ip, err := netip.ParseAddrPort(to.Address)
	if err != nil {
		return 0, nil, err
	}
	if ip.Addr().Is4() {
		return unix.AF_INET, &unix.SockaddrInet4{Addr: ip.Addr().As4(), Port: int(ip.Port())}, nil
	}
	return unix.AF_INET6, &unix.SockaddrInet6{Addr: ip.Addr().As16(), Port: int(ip.Port())}, nil
}

func (c *conn) close() {
	if c.fd != closed {
		unix.Close(c.fd)
		c.fd = closed
	}
}

// read appends the data that has arrived to in.
func (c *conn) read() error {
	if len(c.in) == cap(c.in) {
		c.in = slices.Grow(c.in, max(minRead, len(c.in)))
	}
	n, err := unix.Read(c.fd, c.in[len(c.in):cap(c.in)])
	switch {
	case err != nil:
		return fmt.Errorf("reading a reply: %w", err)
	case n == 0:
		return fmt.Errorf("reading a reply: %w", io.ErrUnexpectedEOF)
	}
	c.in = c.in[:len(c.in)+n]
	return nil
}

func (c *conn) write() error {
	for len(c.out) > 0 {
		n, err := unix.Write(c.fd, c.out)
		if err != nil {
			return fmt.Errorf("writing a lookup: %w", err)
		}
		c.out = c.out[:copy(c.out, c.out[n:])]
	}
	return nil
}

// asked and answered keep when the lookups in flight began: replies come in their
// order.
func (c *conn) asked(at time.Duration) { c.inFlight = append(c.inFlight, at) }

func (c *conn) answered() (askedAt time.Duration) {
	askedAt = c.inFlight[0]
	c.inFlight = c.inFlight[:copy(c.inFlight, c.inFlight[1:])]
	return askedAt
}
