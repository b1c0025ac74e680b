package system

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// root is a machine's disk, a private copy of its suite's tree.
type root struct {
	dir   string
	files *os.Root // follows no link of the machine's out of it
}

// newRoot makes a root of the tree of s.
func newRoot(t *testing.T, s suite) *root {
	t.Helper()
	r := &root{dir: s.tree().Layer(t)}
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
