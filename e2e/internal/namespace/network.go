package namespace

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// Network is a network with nothing in it but its loopback interface.
type Network struct {
	namespace *os.File
}

// NewNetwork makes a network, which lasts until it is closed and nobody is in it.
func NewNetwork() (*Network, error) {
	var n Network
	var err error
	onOwnThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		if err = LoopbackUp(); err != nil {
			return
		}
		n.namespace, err = os.Open("/proc/thread-self/ns/net")
	})
	if err != nil {
		return nil, fmt.Errorf("making a network: %w", err)
	}
	return &n, nil
}

// Close lets go of the network.
func (n *Network) Close() error { return n.namespace.Close() }

// Path names the network for other programs.
func (n *Network) Path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.namespace.Fd())
}

// Do runs f inside the network: a socket that f itself opens and a process that
// it starts belong to it, and stay in it. The error says that f was not run.
func (n *Network) Do(f func()) (err error) {
	onOwnThread(func() {
		if err = unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("entering a network: %w", err)
			return
		}
		f()
	})
	return err
}

// onOwnThread runs f on a thread of its own, which ends with f: what f does to
// it can reach no other goroutine.
func onOwnThread(f func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // never unlocked, and so the thread ends
		f()
	}()
	<-done
}

// LoopbackUp does "ip link set lo up", in the network of this thread.
func LoopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	return nil
}
