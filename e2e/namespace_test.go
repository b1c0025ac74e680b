package e2e

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
// network, mount and process namespaces of its own. Ports 25, 53 and 443 of
// all of 127/8 are free there. When the inner process ends, however it ends,
// the kernel ends every process it has started and undoes every mount; it dies
// with this one, so that nothing outlives a test run that was killed.
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

func ownNamespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
}

// inside furnishes the new namespaces and runs the tests.
func inside(m *testing.M) int {
	if err := furnish(os.Getenv(envWorkDir)); err != nil {
		fmt.Fprintln(os.Stderr, "e2e: in the new namespaces:", err)
		return 1
	}
	return m.Run()
}

func furnish(workDir string) error {
	// No mount made here shows on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	// All files of this run live in memory and go with the namespace.
	scratch := filepath.Join(workDir, "scratch")
	if err := os.Mkdir(scratch, 0o755); err != nil {
		return err
	}
	if err := unix.Mount("tmpfs", scratch, "tmpfs", 0, "mode=0755"); err != nil {
		return fmt.Errorf("mounting tmpfs: %w", err)
	}
	if err := os.Setenv("TMPDIR", scratch); err != nil {
		return err
	}
	return loopbackUp()
}

// loopbackUp does "ip link set lo up".
func loopbackUp() error {
	socket, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(socket)
	lo, err := unix.NewIfreq("lo")
	if err != nil {
		return err
	}
	lo.SetUint16(unix.IFF_UP | unix.IFF_RUNNING)
	if err := unix.IoctlIfreq(socket, unix.SIOCSIFFLAGS, lo); err != nil {
		return fmt.Errorf("bringing lo up: %w", err)
	}
	return nil
}

// needWorld skips a test where the whole world cannot be built. Where it can,
// it looks at every source file, so that "go test" does not take a result from
// its cache that was had with another daemon: of the program that TestMain
// builds it knows nothing.
func needWorld(t *testing.T) {
	t.Helper()
	if reason := os.Getenv(envSkip); reason != "" {
		t.Skipf("left out, real Postfix behind a real resolver asking the daemon: %s", reason)
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
	dir, err := filepath.Abs("..")
	if err != nil {
		panic(err) // only where the working directory has been deleted
	}
	return dir
}
