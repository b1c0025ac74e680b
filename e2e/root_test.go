package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/isolated"
)

// root is a private copy of an unpacked tree.
type root struct {
	dir string
}

// newRoot makes a root of the tree of s.
func newRoot(t *testing.T, s suite) *root {
	t.Helper()
	return newRootOf(t, s.tree())
}

func newRootOf(t *testing.T, tree isolated.Tree) *root {
	t.Helper()
	r := &root{dir: tree.Layer(t)}
	if err := unix.Mount("proc", filepath.Join(r.dir, "proc"), "proc", 0, ""); err != nil {
		t.Fatalf("mounting /proc of %s: %v", r.dir, err)
	}
	r.write(t, "etc/resolv.conf", "nameserver "+resolverAddr.Addr().String()+"\n")
	return r
}

// write puts a file into the root. Its time is set back, because Postfix waits
// for files that have just changed.
func (r *root) write(t *testing.T, name, text string) {
	t.Helper()
	path := filepath.Join(r.dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
}

// command is a command to run in the root. Its name is an absolute path there.
func (r *root) command(name string, args ...string) *exec.Cmd { return chrooted(r.dir, name, args...) }

func chrooted(dir, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: dir}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin"}
	return cmd
}
