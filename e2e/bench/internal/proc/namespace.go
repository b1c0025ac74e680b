package proc

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"

	"mta-sts-daemon/e2e/internal/namespace"
)

// What the outer process tells the inner one, by environment: see Enter.
const (
	envDir  = "BENCH_DIR"
	envCPUs = "BENCH_CPUS"
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
// Ports 53 and 443 of 127.0.0.1 are free there. It returns the exit code.
func Enter(cpus CPUs) (code int, err error) {
	dir, err := os.MkdirTemp("", "mta-sts-bench-")
	if err != nil {
		return 0, err
	}
	defer os.RemoveAll(dir)
	own := namespace.Own(0)
	if uid := os.Getuid(); uid != 0 {
		own.Cloneflags |= unix.CLONE_NEWUSER
		own.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: uid, Size: 1}}
		own.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	start := func(inner *exec.Cmd) error {
		if err := Start(inner, cpus.Load); err != nil {
			return fmt.Errorf("no namespaces to be had; run as root: %w", err)
		}
		return nil
	}
	return namespace.Enter(own, start, envDir+"="+dir, fmt.Sprintf("%s=%d %d", envCPUs, cpus.Server, cpus.Load))
}

// Furnish makes the new namespaces fit to live in.
func Furnish(dir string) error {
	if err := namespace.Furnish(); err != nil {
		return err
	}
	conf := filepath.Join(dir, "resolv.conf")
	if err := os.WriteFile(conf, []byte("nameserver 127.0.0.1\noptions trust-ad\n"), 0o644); err != nil {
		return err
	}
	if err := unix.Mount(conf, resolvConf, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("mounting %s: %w", resolvConf, err)
	}
	return namespace.LoopbackUp()
}
