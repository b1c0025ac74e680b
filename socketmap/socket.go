package socketmap

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// socket is a connection, for the goroutine that reads it: it takes fewer system
// calls, and less around them, than a net.Conn.
//
// A net.Conn asks the kernel before it waits: after each request once in vain,
// because no client has its next request under way before it has the reply. A
// socket takes a read that leaves room for the word that there is no more. It
// trusts that word only of clients that were waited for before. Still, what came
// together with a request and is no data, such as the client's end, wakes nobody
// any more: see conn.recheck.
type socket struct {
	net.Conn
	fd       int  // while each runs; else none
	received bool // anything
	waitedOn bool // since then, and since the poller was told
	// trusting is set where the goroutine waits, or will, without having asked.
	trusting atomic.Bool
}

// none is no descriptor.
const none = -1

// each has took handle the n octets that arrived in room, again and again, until
// that fails or no more can arrive, and returns why.
func (s *socket) each(room func() []byte, took func(n int) error) error {
	conn, ok := s.Conn.(syscall.Conn)
	if !ok {
		return s.eachRead(room, took)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// The poller is told that it is waited for before the first read, not before
	// each wait: so what arrives between a read and the wait behind it ends that
	// wait. Where there is more to read it is told anew, or whoever never stops
	// sending could not be closed nor have a deadline.
	var ended error
	step := func(fd uintptr) (leave bool) {
		s.fd = int(fd)
		var wait bool
		wait, ended = s.once(room(), took)
		return !wait
	}
	for ended == nil && err == nil {
		s.waitedOn = false // what came before ends no wait behind this
		err = raw.Read(step)
	}
	s.fd = none
	if ended != nil {
		return ended
	}
	return err
}

// once reads. wait is set where there is nothing more for now.
func (s *socket) once(room []byte, took func(n int) error) (wait bool, err error) {
	n, err := syscall.Read(s.fd, room)
	switch {
	case err == syscall.EINTR:
		return false, nil
	case err == syscall.EAGAIN:
		s.waitedOn = s.received
		s.trust(false)
		return true, nil
	case err != nil:
		return false, os.NewSyscallError("read", err)
	case n == 0:
		return false, io.EOF
	}
	s.received = true
	if err := took(n); err != nil {
		return false, err
	}
	return s.trust(s.waitedOn && n < len(room)), nil
}

// trust notes and returns whether it is trusted that there is no more.
func (s *socket) trust(trusting bool) bool {
	if s.trusting.Load() != trusting {
		s.trusting.Store(trusting)
	}
	return trusting
}

// writeNow writes what fits at once and returns how much that was. What is wrong
// shows where the rest is written. It is for what each calls; elsewhere nothing
// fits.
func (s *socket) writeNow(p []byte) int {
	if s.fd == none {
		return 0
	}
	n, _ := syscall.Write(s.fd, p)
	return max(n, 0)
}

// eachRead is each for what is no socket.
func (s *socket) eachRead(room func() []byte, took func(n int) error) error {
	for {
		n, err := s.Read(room())
		if failed := took(n); failed != nil {
			return failed
		}
		if err != nil {
			return err
		}
	}
}
