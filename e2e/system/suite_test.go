package system

import (
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
)

// suite is a release of Debian.
type suite string

const (
	bookworm suite = "bookworm" // systemd 252, Postfix 3.7
	trixie   suite = "trixie"   // systemd 257, Postfix 3.10
)

func suites() []suite { return []suite{bookworm, trixie} }

func (s suite) need(t *testing.T) {
	t.Helper()
	if reason := isolated.LeftOut(string(s)); reason != "" {
		t.Skipf("left out, Debian %s: %s", s, reason)
	}
}

// packages are the packages of a small mail server; on bookworm systemd-nspawn
// too, which the host need not have.
func (s suite) packages() string {
	const server = "systemd,systemd-sysv,dbus,init-system-helpers,ca-certificates,postfix,unbound"
	if s == bookworm {
		return server + ",systemd-container"
	}
	return server
}

const treeRevision = "1" // to be raised when isolated.Tree changes

// tree is the installed Debian: the tests can do without any but bookworm's, whose
// systemd-nspawn boots all.
func (s suite) tree() isolated.Tree {
	return isolated.Tree{
		Suite: string(s), Name: "system-" + string(s), Variant: "minbase", Packages: s.packages(),
		Contents: treeRevision,
		Optional: s != bookworm,
	}
}
