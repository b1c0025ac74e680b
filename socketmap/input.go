package socketmap

import (
	"io"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// input is what a client sends.
//
// A net.Conn asks the kernel before it waits: after each request once in vain,
// because no client has its next request under way before it has the reply. An
// input takes a read that leaves room for the word that there is no more, which
// saves one system call in three. It trusts that word only of clients that were
// waited for before. Still, what came together with a request and is no data,
// such as the client's end, wakes nobody any more: see conn.recheck.
type input struct {
	conn     net.Conn
	received bool // anything
	waitedOn bool // since then
	// trusting is set where the goroutine waits, or will, without having asked.
	trusting atomic.Bool
}

// each has took handle the n octets that arrived in room, again and again, until
// that fails or no more can arrive, and returns why.
func (in *input) each(room func() []byte, took func(n int) error) error {
	socket, ok := in.conn.(syscall.Conn)
	if !ok {
		return in.eachRead(room, took)
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return err
	}
	// The poller is told once that it is waited for, not before each wait: so
	// what arrives between a read and the wait behind it ends that wait.
	var ended error
	err = raw.Read(func(fd uintptr) bool {
		for wait := false; !wait && ended == nil; {
			wait, ended = in.once(int(fd), room(), took)
		}
		return ended != nil
	})
	if ended != nil {
		return ended
	}
	return err
}

// once reads. wait is set where there is nothing more for now.
func (in *input) once(fd int, room []byte, took func(n int) error) (wait bool, err error) {
	n, err := syscall.Read(fd, room)
	switch {
	case err == syscall.EINTR:
		return false, nil
	case err == syscall.EAGAIN:
		in.waitedOn = in.received
		in.trust(false)
		return true, nil
	case err != nil:
		return false, os.NewSyscallError("read", err)
	case n == 0:
		return false, io.EOF
	}
	in.received = true
	if err := took(n); err != nil {
		return false, err
	}
	return in.trust(in.waitedOn && n < len(room)), nil
}

// trust notes and returns whether it is trusted that there is no more.
func (in *input) trust(trusting bool) bool {
	if in.trusting.Load() != trusting {
		in.trusting.Store(trusting)
	}
	return trusting
}

// eachRead is each for what is no socket.
func (in *input) eachRead(room func() []byte, took func(n int) error) error {
	for {
		n, err := in.conn.Read(room())
		if failed := took(n); failed != nil {
			return failed
		}
		if err != nil {
			return err
		}
	}
}
