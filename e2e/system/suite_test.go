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
	if reason := isolated.LeftOut(s.tree().Name); reason != "" {
		t.Skipf("left out, Debian %s: %s", s, reason)
	}
}

// packages are those of a small mail server, with the package that ours replaces.
// Bookworm has systemd-nspawn too, so that the host does not need it, and trixie lintian.
func (s suite) packages() string {
	const server = "systemd,systemd-sysv,dbus,init-system-helpers,ca-certificates,postfix,unbound," + replacedPackage
	if s == bookworm {
		return server + ",systemd-container"
	}
	return server + ",lintian"
}

const treeRevision = "1" // raise it when isolated.Tree changes

// tree is the installed Debian. Only bookworm's is indispensable: its systemd-nspawn boots
// all of them.
func (s suite) tree() isolated.Tree {
	return isolated.Tree{
		Suite: string(s), Name: "system-" + string(s), Variant: "minbase", Packages: s.packages(),
		Contents: treeRevision,
		Optional: s != bookworm,
	}
}
