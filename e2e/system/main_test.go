package system

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/isolated"
)

// tests is this package, whose machines are booted in the namespaces. Control
// groups are among them because a mount of cgroup2 from the host's own would
// change the options of the host's. Nothing but an empty control group outlives a
// run that was killed.
func tests() isolated.Package {
	p := isolated.Package{
		Name:       "e2e/system",
		Namespaces: unix.CLONE_NEWCGROUP,
		Missing:    missing,
		Build:      buildPackages,
		Furnish:    furnish,
	}
	for _, s := range suites() {
		p.Trees = append(p.Trees, s.tree())
	}
	return p
}

func TestMain(m *testing.M) { os.Exit(tests().Main(m)) }

// missing returns what this host lacks for booting machines and building
// packages, or "".
func missing() string {
	if kinds, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(kinds), "\tcgroup2\n") {
		return "the kernel has no cgroup2, which systemd needs"
	}
	if _, err := exec.LookPath("make"); err != nil {
		return "there is no make to build the packages with"
	}
	return ""
}

func furnish(string) error {
	for _, m := range []struct{ kind, dir, options string }{
		{"tmpfs", "/run", "mode=0755"}, // systemd-nspawn keeps its locks there
		{"cgroup2", cgroups, ""},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, m.dir, err)
		}
	}
	return nil
}
