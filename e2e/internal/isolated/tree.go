package isolated

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The accounts of a tree with Postfix, whose installation scripts have not run.
const (
	Passwd = "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/:/bin/false\npostfix:x:100:102::/var/spool/postfix:/bin/false\n"
	Group  = "root:x:0:\nnogroup:x:65534:\npostfix:x:102:\npostdrop:x:103:\n"
)

// Tree is an unpacked Debian, which is kept from one run to the next and never
// written to.
type Tree struct {
	Suite string // the release
	// Name begins the name of its directory, which ends in a hash of Packages and
	// Contents.
	Name     string
	Variant  string // mmdebstrap's
	Packages string // with commas
	// Contents is all that it depends on beside its packages.
	Contents string
	// Prepare completes a tree that has just been unpacked. Nil is for nothing.
	Prepare func(dir string) error
	// Optional means that the tests can run without the tree. If it is not
	// available, they name it as left out.
	Optional bool
}

// Dir is the directory of the tree.
func (tree Tree) Dir() string {
	hash := sha256.Sum256([]byte(tree.Packages + tree.Contents))
	return filepath.Join(Repository(), buildDir, "roots", fmt.Sprintf("%s-%x", tree.Name, hash[:6]))
}

// unpack makes sure that the tree exists. Parallel runs wait for the one that
// unpacks; the incomplete tree of a killed run is removed.
func (tree Tree) unpack() error {
	dir := tree.Dir()
	lock, err := lockFile(dir + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Printf("unpacking Debian %s, once, to %s\n", tree.Suite, dir)
	half := dir + ".unpacking"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	mmdebstrap := exec.Command("mmdebstrap", "--mode=root", "--variant="+tree.Variant, "--format=directory",
		"--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
		"--include="+tree.Packages, tree.Suite, half)
	mmdebstrap.ExtraFiles = []*os.File{lock} // should this process be killed, the lock lasts as long as mmdebstrap
	if out, err := mmdebstrap.CombinedOutput(); err != nil {
		return fmt.Errorf("unpacking Debian %s: mmdebstrap: %w\n%s", tree.Suite, err, out)
	}
	if tree.Prepare != nil {
		if err := tree.Prepare(half); err != nil {
			return fmt.Errorf("preparing %s: %w", half, err)
		}
	}
	return os.Rename(half, dir)
}

// lockFile waits for the lock of a file, which is made if it is missing, and holds it until the
// file is closed.
func lockFile(name string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return nil, err
	}
	lock, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		lock.Close()
		return nil, fmt.Errorf("locking %s: %w", name, err)
	}
	return lock, nil
}

// Layer makes a private copy of the tree: changes stay in memory, above the tree
// itself, and end with the test.
func (tree Tree) Layer(t *testing.T) (dir string) {
	t.Helper()
	dir, err := MountLayer(tree.Dir(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", dir, err)
		}
	})
	return dir
}

// MountLayer mounts an overlay of lower in base, which is in memory, and returns its directory.
func MountLayer(lower, base string) (dir string, err error) {
	dir, upper, work := filepath.Join(base, "root"), filepath.Join(base, "upper"), filepath.Join(base, "work")
	for _, dir := range []string{dir, upper, work} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return "", err
		}
	}
	layers := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", lower, upper, work)
	if err := unix.Mount("overlay", dir, "overlay", 0, layers); err != nil {
		return "", fmt.Errorf("mounting an overlay of %s: %w", lower, err)
	}
	return dir, nil
}
