package system

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// enterNamespaces runs this test binary again, with the same arguments, in
// network, mount, process and control group namespaces of its own. When the
// inner process ends, however it ends, the kernel ends every machine it has
// booted and undoes every mount; it dies with this one, so that nothing but an
// empty control group outlives a test run that was killed.
func enterNamespaces(workDir string) (code int, err error) {
	// Pdeathsig speaks of the thread that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()

	inner := exec.Command("/proc/self/exe", os.Args[1:]...)
	inner.Env = append(os.Environ(), envWorkDir+"="+workDir)
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	inner.SysProcAttr = ownNamespaces()
	err = inner.Run()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// ownNamespaces has control groups among them because a mount of cgroup2 from
// the host's own would change the options of the host's.
func ownNamespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWCGROUP,
		Pdeathsig:  syscall.SIGKILL,
	}
}

// inside furnishes the new namespaces and runs the tests.
func inside(m *testing.M) int {
	if err := furnish(scratch()); err != nil {
		fmt.Fprintln(os.Stderr, "e2e/system: in the new namespaces:", err)
		return 1
	}
	return m.Run()
}

// scratch is where all files of this run are. It lives in memory and goes with
// the namespace.
func scratch() string { return filepath.Join(os.Getenv(envWorkDir), "scratch") }

func furnish(scratch string) error {
	// No mount made here shows on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return err
	}
	for _, m := range []struct{ kind, dir, options string }{
		{"proc", "/proc", ""},
		{"tmpfs", scratch, "mode=0755"},
		{"tmpfs", "/run", "mode=0755"}, // systemd-nspawn keeps its locks there
		{"cgroup2", cgroups, ""},
	} {
		if err := unix.Mount(m.kind, m.dir, m.kind, 0, m.options); err != nil {
			return fmt.Errorf("mounting %s on %s: %w", m.kind, m.dir, err)
		}
	}
	return os.Setenv("TMPDIR", scratch)
}

// needMachines skips a test where none can be booted. Where they can, it looks
// at every source file, so that "go test" does not take a result from its cache
// that was had with another daemon: of the packages that TestMain builds it
// knows nothing.
func needMachines(t *testing.T) {
	t.Helper()
	if reason := os.Getenv(envSkip); reason != "" {
		t.Skipf("left out, the package on a booted Debian: %s", reason)
	}
	err := filepath.WalkDir(repository(), func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() && (entry.Name() == "build" || entry.Name() == ".git") {
			return fs.SkipDir
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// repository is the top directory of the project: tests run in their package's.
func repository() string {
	dir, err := filepath.Abs("../..")
	if err != nil {
		panic(err) // only where the working directory has been deleted
	}
	return dir
}
