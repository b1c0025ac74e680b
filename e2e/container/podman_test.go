package container

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/mapclient"
)

const (
	// patience bounds each step that should take a moment.
	patience = 20 * time.Second
	bridge   = "containers"
	here     = "10.88.0.1" // the test's address on the bridge
)

func makeNetwork() error {
	for _, args := range []string{
		"link add " + bridge + " type bridge",
		"addr add " + here + "/24 dev " + bridge,
		"link set " + bridge + " up",
	} {
		if err := ip(args); err != nil {
			return err
		}
	}
	return nil
}

func ip(args string) error {
	if out, err := exec.Command("ip", strings.Fields(args)...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w\n%s", args, err, out)
	}
	return nil
}

// podman runs a command of podman's and returns its output.
func podman(t *testing.T, args ...string) (out string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	var stderr strings.Builder
	cmd := exec.CommandContext(ctx, "podman", args...)
	cmd.Stderr = &stderr
	text, err := cmd.Output()
	if err != nil {
		err = fmt.Errorf("podman %s: %w\n%s%s", strings.Join(args, " "), err, text, &stderr)
	}
	return string(text), err
}

func mustPodman(t *testing.T, args ...string) string {
	t.Helper()
	out, err := podman(t, args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// addresses counts the containers of the network; the test's own address is the first.
type addresses struct{ last atomic.Int32 }

// An attachment is a network namespace that is joined to the bridge.
type attachment struct {
	path string // for podman
	addr netip.Addr
}

func (a *addresses) attach(t *testing.T) attachment {
	t.Helper()
	n := a.last.Add(1) + 1
	network := isolated.NewNetwork(t)
	addr := netip.AddrFrom4([4]byte{10, 88, 0, byte(n)})
	outer, inner := fmt.Sprintf("outer%d", n), fmt.Sprintf("inner%d", n)
	run := func(args string) {
		t.Helper()
		if err := ip(args); err != nil {
			t.Fatal(err)
		}
	}
	run(fmt.Sprintf("link add %s type veth peer name %s", outer, inner))
	run(fmt.Sprintf("link set %s netns %s", inner, network.Path()))
	run(fmt.Sprintf("link set %s master %s up", outer, bridge))
	isolated.Within(t, network, func() {
		run(fmt.Sprintf("addr add %v/24 dev %s", addr, inner))
		run(fmt.Sprintf("link set %s up", inner))
	})
	return attachment{network.Path(), addr}
}

// A container is one that runs, or ran.
type container struct{ name string }

// start starts a container of image, with podman's options and the program's arguments. Its log
// shows if the test fails.
func start(t *testing.T, name string, options []string, image string, args ...string) container {
	t.Helper()
	mustPodman(t, slices.Concat([]string{"run", "--detach", "--name", name}, options, []string{image}, args)...)
	c := container{name}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("%s logged:\n%s", name, c.logs(t))
		}
		exec.Command("podman", "rm", "--force", "--time", "0", "--volumes", name).Run()
	})
	return c
}

// logs returns both outputs of the container.
func (c container) logs(t *testing.T) string {
	t.Helper()
	out, _ := exec.Command("podman", "logs", c.name).CombinedOutput()
	return string(out)
}

// exec runs a command in the container.
func (c container) exec(t *testing.T, args ...string) (string, error) {
	t.Helper()
	return podman(t, append([]string{"exec", c.name}, args...)...)
}

// remove stops and removes the container; volumes with a name stay.
func (c container) remove(t *testing.T) {
	t.Helper()
	mustPodman(t, "stop", "--time", "15", c.name)
	mustPodman(t, "rm", c.name)
}

// awaitReady returns when the daemon in the container answers lookups.
func (c container) awaitReady(t *testing.T) {
	t.Helper()
	isolated.Eventually(t, c.name+" answers", func() bool {
		return exec.Command("podman", "healthcheck", "run", c.name).Run() == nil
	})
}

// lookup asks the daemon at an attachment, over one connection.
func lookup(a attachment, key string) (string, error) {
	c := mapclient.Client{Address: a.addr.String() + ":8461", Timeout: patience}
	defer c.Close()
	answer, err := c.Lookup(key)
	if c.Retried > 0 {
		err = errors.Join(errors.New("the first connection broke"), err)
	}
	return answer, err
}

// writeFile writes text into a file of the test and returns its path.
func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}
