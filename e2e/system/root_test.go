package system

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// root is a machine's disk: what is written to it stays in memory, above the
// tree of its suite, and goes with the test.
type root struct {
	dir   string
	files *os.Root // follows no link of the machine's out of it
}

// newRoot lays a new root over the tree of s.
func newRoot(t *testing.T, s suite) *root {
	t.Helper()
	base := t.TempDir()
	r := &root{dir: filepath.Join(base, "root")}
	upper, work := filepath.Join(base, "upper"), filepath.Join(base, "work")
	for _, dir := range []string{r.dir, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", s.dir(), upper, work)
	if err := unix.Mount("overlay", r.dir, "overlay", 0, layers); err != nil {
		t.Fatalf("mounting an overlay of %s: %v", s.dir(), err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(r.dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", r.dir, err)
		}
	})
	files, err := os.OpenRoot(r.dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { files.Close() })
	r.files = files
	return r
}

// The methods below take the absolute name that a file has on the machine.

// write makes a file that anybody may read.
func (r *root) write(t *testing.T, name, text string) {
	t.Helper()
	err := r.files.MkdirAll(relative(filepath.Dir(name)), 0o755)
	if err == nil {
		err = r.files.WriteFile(relative(name), []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// add puts text at the end of a file.
func (r *root) add(t *testing.T, name, text string) {
	t.Helper()
	f, err := r.files.OpenFile(relative(name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	_, err = f.WriteString(text)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// remove removes a file, or a directory and all that is in it.
func (r *root) remove(t *testing.T, name string) {
	t.Helper()
	if err := r.files.RemoveAll(relative(name)); err != nil {
		t.Error(err)
	}
}

// mask keeps units from being started.
func (r *root) mask(t *testing.T, units ...string) {
	t.Helper()
	for _, unit := range units {
		if err := r.files.Symlink("/dev/null", relative("/etc/systemd/system/"+unit)); err != nil {
			t.Fatal(err)
		}
	}
}

func relative(name string) string { return strings.TrimPrefix(name, "/") }
