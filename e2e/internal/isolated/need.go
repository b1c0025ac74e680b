package isolated

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/namespace"
)

// buildDir, in the repository, is what outlasts a run.
const buildDir = "build/e2e"

// missing returns what this host lacks for the tests, or "". It installs mmdebstrap
// if only that is missing.
func (p Package) missing() string {
	if os.Geteuid() != 0 {
		return "only root can make namespaces and unpack Debian"
	}
	probe := exec.Command("/proc/self/exe")
	probe.Env = append(os.Environ(), envProbe+"=1")
	probe.SysProcAttr = namespace.Own(p.Namespaces)
	if out, err := probe.CombinedOutput(); err != nil {
		return fmt.Sprintf("namespaces cannot be used here: %v", cmp.Or(strings.TrimSpace(string(out)), err.Error()))
	}
	if p.Missing != nil {
		if reason := p.Missing(); reason != "" {
			return reason
		}
	}
	return p.installMmdebstrap()
}

// installMmdebstrap returns why it cannot be installed, or "". Packages of tests run at the same
// time: without the lock, the update of one would take away the lists that another installs from.
func (p Package) installMmdebstrap() string {
	lock, err := lockFile(filepath.Join(Repository(), buildDir, "install.lock"))
	if err != nil {
		return err.Error()
	}
	defer lock.Close()
	if _, err := exec.LookPath("mmdebstrap"); err == nil {
		return ""
	}
	if _, err := exec.LookPath("apt-get"); err != nil {
		return "there is neither mmdebstrap nor apt-get to install it with"
	}
	fmt.Printf("%s: installing mmdebstrap, which unpacks Debian for the tests\n", p.Name)
	// A machine that has never updated knows of no packages. Where the update
	// fails, the installation may work all the same.
	exec.Command("apt-get", "update").Run()
	install := exec.Command("apt-get", "install", "--yes", "--no-install-recommends",
		"--option=DPkg::Lock::Timeout=120", "mmdebstrap") // an administrator may be doing the same
	install.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
	if out, err := install.CombinedOutput(); err != nil {
		return fmt.Sprintf("mmdebstrap cannot be installed (%v):\n%s", err, out)
	}
	return ""
}

// MissingForMachines returns what this host lacks for booting machines or containers of a build
// by make, or "".
func MissingForMachines() string {
	if kinds, err := os.ReadFile("/proc/filesystems"); err != nil || !strings.Contains(string(kinds), "\tcgroup2\n") {
		return "the kernel has no cgroup2"
	}
	if _, err := exec.LookPath("make"); err != nil {
		return "make is missing, which builds what is tested"
	}
	return ""
}

// probe is the exit code of a process in new namespaces that tries what the tests do there. In a
// chroot, for example, mounts cannot be made private.
func (p Package) probe() int {
	err := tryMounts()
	if err == nil && p.Probe != nil {
		err = p.Probe()
	}
	if err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

func tryMounts() error {
	if err := namespace.Furnish(); err != nil {
		return err
	}
	// The temporary directory of all is hidden in this namespace only.
	base := os.TempDir()
	if err := unix.Mount("tmpfs", base, "tmpfs", 0, ""); err != nil {
		return fmt.Errorf("mounting tmpfs: %w", err)
	}
	if _, err := MountLayer("/etc", base); err != nil {
		return err
	}
	return namespace.LoopbackUp()
}

// Need skips a test if its package cannot run, and names what is left out. If it can, Need
// looks at every source file, so that "go test" does not take a result of another daemon
// from its cache: it knows nothing of what Build makes.
func Need(t *testing.T, what string) {
	t.Helper()
	if reason := os.Getenv(envSkip); reason != "" {
		t.Skipf("left out, %s: %s", what, reason)
	}
	err := filepath.WalkDir(Repository(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "build" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// LeftOut returns the reason why the tree of that name is not available, or "".
func LeftOut(tree string) string { return os.Getenv(envLeftOut + tree) }

// Repository is the top directory of the project, which has the only Makefile. Tests run below it.
func Repository() string {
	dir, err := os.Getwd()
	for err == nil {
		if _, err := os.Stat(filepath.Join(dir, "Makefile")); err == nil {
			return dir
		}
		if dir == "/" {
			err = fs.ErrNotExist
		}
		dir = filepath.Dir(dir)
	}
	panic(err) // only where the working directory has been deleted
}
