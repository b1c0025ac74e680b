package system

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// suite is a release of Debian.
type suite string

const (
	bookworm suite = "bookworm" // systemd 252, Postfix 3.7
	trixie   suite = "trixie"   // systemd 257, Postfix 3.10
)

func suites() []suite { return []suite{bookworm, trixie} }

// optional tells whether the tests can do without s: where it cannot be had
// they name it as left out. systemd-nspawn is bookworm's, for both.
func (s suite) optional() bool { return s != bookworm }

func (s suite) need(t *testing.T) {
	t.Helper()
	if reason := os.Getenv(envLeftOut + string(s)); reason != "" {
		t.Skipf("left out, Debian %s: %s", s, reason)
	}
}

// packages are what a small mail server has installed; on bookworm
// systemd-nspawn too, which the host need not have.
func (s suite) packages() string {
	const server = "systemd,systemd-sysv,dbus,init-system-helpers,ca-certificates,postfix,unbound"
	if s == bookworm {
		return server + ",systemd-container"
	}
	return server
}

const treeRevision = "1" // to be raised when unpack changes

// dir is where the installed tree of s is kept from one run to the next.
func (s suite) dir() string {
	contents := sha256.Sum256([]byte(s.packages() + treeRevision))
	return filepath.Join(repository(), "build", "e2e", "roots", fmt.Sprintf("system-%s-%x", s, contents[:6]))
}

// unpack makes sure that the tree is there. Runs side by side wait for the one
// that unpacks; what a killed one left half done is thrown away.
func (s suite) unpack() error {
	dir := s.dir()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	lock, err := os.Create(dir + ".lock")
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("locking %s: %w", lock.Name(), err)
	}
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	fmt.Printf("e2e/system: installing a Debian %s below build/e2e, once\n", s)
	half := dir + ".unpacking"
	if err := os.RemoveAll(half); err != nil {
		return err
	}
	mmdebstrap := exec.Command("mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory",
		"--aptopt=APT::Install-Recommends \"false\"", "--aptopt=Acquire::Check-Valid-Until \"false\"",
		"--include="+s.packages(), string(s), half)
	mmdebstrap.ExtraFiles = []*os.File{lock} // should this process be killed, the lock lasts as long as mmdebstrap
	if out, err := mmdebstrap.CombinedOutput(); err != nil {
		return fmt.Errorf("installing Debian %s: mmdebstrap: %w\n%s", s, err, out)
	}
	return os.Rename(half, dir)
}
