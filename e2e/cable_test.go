package e2e

import (
	"fmt"
	"os"
	"runtime"
	"testing"

	"golang.org/x/sys/unix"
)

// cable leads to a network of its own, where a server for the shared store is.
// It can be cut: then nothing arrives, and nobody is told.
type cable struct {
	root      *root
	namespace *os.File
}

const (
	cableHere  = "10.53.0.1/24"
	cableThere = "10.53.0.2/24"
	cableAddr  = "10.53.0.2:6379"
)

func layCable(t *testing.T, r *root) *cable {
	t.Helper()
	c := &cable{root: r}
	var err error
	onOwnThread(func() {
		if err = unix.Unshare(unix.CLONE_NEWNET); err == nil {
			c.namespace, err = os.Open("/proc/thread-self/ns/net")
		}
	})
	if err != nil {
		t.Fatalf("making a network: %v", err)
	}
	t.Cleanup(func() { c.namespace.Close() })
	c.ip(t, "link", "add", "here", "type", "veth", "peer", "name", "there")
	t.Cleanup(func() { c.ip(t, "link", "del", "here") })
	c.ip(t, "link", "set", "there", "netns", fmt.Sprintf("/proc/%d/fd/%d", os.Getpid(), c.namespace.Fd()))
	c.do(t, func() {
		c.ip(t, "addr", "add", cableThere, "dev", "there")
		c.ip(t, "link", "set", "there", "up")
	})
	c.ip(t, "addr", "add", cableHere, "dev", "here")
	c.ip(t, "link", "set", "here", "up")
	return c
}

func (c *cable) cut(t *testing.T) { c.do(t, func() { c.ip(t, "link", "set", "there", "down") }) }

func (c *cable) mend(t *testing.T) { c.do(t, func() { c.ip(t, "link", "set", "there", "up") }) }

func (c *cable) ip(t *testing.T, args ...string) {
	t.Helper()
	cmd := c.root.command("/sbin/ip", args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("ip %v: %v\n%s", args, err, out)
	}
}

// do runs f in the network that the cable leads to, and what f starts.
func (c *cable) do(t *testing.T, f func()) {
	t.Helper()
	before := t.Failed()
	onOwnThread(func() {
		if err := unix.Setns(int(c.namespace.Fd()), unix.CLONE_NEWNET); err != nil {
			t.Errorf("entering a network: %v", err)
			return
		}
		f()
	})
	if t.Failed() && !before {
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
