package system

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/isolated"
)

// tests describes this package, whose machines are booted in namespaces. There is one for
// control groups, because a mount of cgroup2 in the host's namespace would change the options of
// the host's mount. A run that is killed leaves an empty control group and nothing else.
func tests() isolated.Package {
	p := isolated.Package{
		Name:       "e2e/system",
		Namespaces: unix.CLONE_NEWCGROUP,
		Missing:    isolated.MissingForMachines,
		Probe:      probe,
		Build:      buildPackages,
		Furnish:    furnish,
	}
	for _, s := range suites() {
		p.Trees = append(p.Trees, s.tree())
	}
	return p
}

func TestMain(m *testing.M) { os.Exit(tests().Main(m)) }

// probe makes a user namespace, as systemd does for the service on a machine (PrivateUsers=). The
// kernel refuses that in a chroot, and if user.max_user_namespaces is 0; then the service would fail
// with status=217/USER.
func probe() error {
	cmd := exec.Command("true")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER}
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("making a user namespace, which the service has: %w", err)
	}
	return nil
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
