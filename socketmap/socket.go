package socketmap

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// socket is a net.Conn that makes fewer system calls for a client that sends its
// next request only after it has the reply.
//
// net.Conn.Read calls read(2) and waits in Go's poller only after EAGAIN. For
// such a client every second read(2) fails with EAGAIN. socket saves that call:
// a short read, one that fills less than the buffer, has emptied the receive
// buffer, so socket waits in the poller at once.
//
// The poller uses edge-triggered epoll, so data that arrives after a short read
// ends the wait. The end of the stream can be missed: if it arrives together with
// the last data, its event has passed before the wait, and only another read(2)
// would return 0. Two things limit that:
//
//   - A wait follows a short read only if the poller has already waited for this
//     client after its first data. A client that sends one request and closes is
//     always read until EAGAIN or the end.
//   - Server.sweep makes connections that are idle in such a wait read again
//     (conn.recheck).
//
// The goroutine that calls each owns fd, received and ready, and sets skipped, which
// sweep reads.
type socket struct {
	net.Conn
	// fd is the descriptor while each may use it, in the function that it passes to
	// RawConn.Read; else noDescriptor.
	fd int
	// received is set after the first data.
	received bool
	// ready is set when a short read may be followed by a wait: a read has
	// returned EAGAIN since the first data and since RawConn.Read was called.
	ready bool
	// skipped is set while the goroutine waits after a short read, or is about to.
	skipped atomic.Bool
}

const noDescriptor = -1

// each is a loop: it reads into the slice that room returns and calls took with the
// number of bytes. It returns the error of took or of the read, which is io.EOF at the
// end of the stream.
func (s *socket) each(room func() []byte, took func(n int) error) error {
	conn, ok := s.Conn.(syscall.Conn)
	if !ok {
		return s.eachRead(room, took)
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return err
	}
	// RawConn.Read discards old events and checks the deadline when it is called.
	// Then it calls step and waits in the poller whenever step returns false. While
	// there is more to read, step returns true and RawConn.Read is called again:
	// otherwise a client that never stops sending could not be closed, and no
	// deadline would apply to it.
	var ended error
	step := func(fd uintptr) (done bool) {
		s.fd = int(fd)
		var wait bool
		wait, ended = s.once(room(), took)
		return !wait
	}
	for ended == nil && err == nil {
		s.ready = false
		err = raw.Read(step)
	}
	s.fd = noDescriptor
	if ended != nil {
		return ended
	}
	return err
}

// once calls read(2) once. wait is set if each has to wait in the poller: after EAGAIN,
// or after a short read that a wait may follow.
func (s *socket) once(room []byte, took func(n int) error) (wait bool, err error) {
	n, err := syscall.Read(s.fd, room)
	switch {
	case err == syscall.EINTR:
		return false, nil
	case err == syscall.EAGAIN:
		s.ready = s.received
		s.setSkipped(false)
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
	wait = s.ready && n < len(room)
	s.setSkipped(wait)
	return wait, nil
}

func (s *socket) setSkipped(skipped bool) {
	if s.skipped.Load() != skipped { // a Load costs less than a Store
		s.skipped.Store(skipped)
	}
}

// writeNow writes as much of p as the send buffer takes, without waiting, and returns
// the number of bytes. It does not return an error: the caller gets it when it writes
// the rest. It works only while took is called; otherwise it returns 0.
func (s *socket) writeNow(p []byte) int {
	if s.fd == noDescriptor {
		return 0
	}
	n, _ := syscall.Write(s.fd, p)
	return max(n, 0)
}

// eachRead is each for a Conn without a descriptor.
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
