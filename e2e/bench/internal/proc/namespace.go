package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the outer process tells the inner one, by environment: see Enter.
const (
	envDir  = "MTA_STS_BENCH_DIR"
	envCPUs = "MTA_STS_BENCH_CPUS"
)

// resolvConf is where the programs that are measured find the bed's resolver.
const resolvConf = "/etc/resolv.conf"

// Inside returns the directory for the files of this run and its processors. ok
// is false where this is not the process that Enter has started.
func Inside() (dir string, cpus CPUs, ok bool) {
	dir, ok = os.LookupEnv(envDir)
	if !ok {
		return "", CPUs{}, false
	}
	_, err := fmt.Sscan(os.Getenv(envCPUs), &cpus.Server, &cpus.Load)
	return dir, cpus, err == nil
}

// Enter runs this program again, where the load runs, with the same arguments, in
// network, mount, process and, if it is not root, user namespaces of its own.
// Ports 53 and 443 of 127.0.0.1 are free there, and when the inner process ends,
// the kernel ends every process that it has started. It returns the exit code.
func Enter(cpus CPUs) (code int, err error) {
	// Pdeathsig speaks of the thread that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	dir, err := os.MkdirTemp("", "mta-sts-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	inner := exec.Command("/proc/self/exe", os.Args[1:]...)
	inner.Env = append(os.Environ(), envDir+"="+dir, fmt.Sprintf("%s=%d %d", envCPUs, cpus.Server, cpus.Load))
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	inner.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID,
		Pdeathsig:  syscall.SIGKILL,
	}
	if uid := os.Getuid(); uid != 0 {
		inner.SysProcAttr.Cloneflags |= unix.CLONE_NEWUSER
		inner.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		inner.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	if err := Start(inner, cpus.Load); err != nil {
		return 0, fmt.Errorf("no namespaces to be had; run as root: %w", err)
	}
	err = inner.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Furnish makes the new namespaces fit to live in.
func Furnish(dir string) error {
	// No mount made here shows on the host.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	conf := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\noptions trust-ad\n"), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(conf, resolvConf, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", resolvConf, err)
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
