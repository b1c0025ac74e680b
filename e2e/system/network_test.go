package system

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// network is a network of one machine, with nothing in it but its loopback
// interface. It outlasts the machine's reboots.
type network struct {
	namespace *os.File
}

func newNetwork(t *testing.T) *network {
	t.Helper()
	n := &network{}
	var err error
	onOwnThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return
		}
		if err = loopbackUp(); err != nil {
			return
		}
		n.namespace, err = os.Open("/proc/thread-self/ns/net")
	})
	if err != nil {
		t.Fatalf("making a network: %v", err)
	}
	t.Cleanup(func() { n.namespace.Close() })
	return n
}

// path names the network for other programs.
func (n *network) path() string {
	return fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), n.namespace.Fd())
}

// do runs f inside the network: a socket that f itself opens belongs to it,
// and stays in it wherever it is used afterwards.
func (n *network) do(t *testing.T, f func()) {
	t.Helper()
	before := t.Failed()
	returned := false
	onOwnThread(func() {
		if err := unix.Setns(int(n.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Errorf("entering a network: %v", err)
			return
		}
		f()
		returned = true
	})
	if !returned || t.Failed() && !before {
		t.FailNow()
	}
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

// loopbackUp does "ip link set lo up".
func loopbackUp() error {
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
