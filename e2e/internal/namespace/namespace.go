// Package namespace runs a program again in namespaces of its own, and makes
// further networks. Processes and mounts there end with the program, even if it
// is killed.
package namespace

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// Own returns the attributes of a process with a network, mounts and processes of
// its own, and further flags of clone(2). It dies with the thread that started
// it.
func Own(more uintptr) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNET | unix.CLONE_NEWNS | unix.CLONE_NEWPID | more,
		Pdeathsig:  syscall.SIGKILL,
	}
}

// Enter runs this program again, with the same arguments and env in addition to
// its environment, in the namespaces of attr, and returns its exit code. start
// only starts it.
func Enter(attr *syscall.SysProcAttr, start func(*exec.Cmd) error, env ...string) (code int, err error) {
	inner := Self(os.Args[1:]...)
	inner.Env = append(inner.Env, env...)
	return Run(inner, attr, start)
}

// Self returns a command that runs this program with args.
func Self(args ...string) *exec.Cmd {
	inner := exec.Command("/proc/self/exe", args...)
	inner.Env = os.Environ()
	inner.Stdin, inner.Stdout, inner.Stderr = os.Stdin, os.Stdout, os.Stderr
	return inner
}

// Run runs inner in the namespaces of attr and returns its exit code. When inner
// ends, the kernel ends every process that it has started and undoes every mount;
// it dies with this process.
func Run(inner *exec.Cmd, attr *syscall.SysProcAttr, start func(*exec.Cmd) error) (code int, err error) {
	// Pdeathsig is about the thread that started the process.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	inner.SysProcAttr = attr
	if err := start(inner); err != nil {
		return 0, err
	}
	err = inner.Wait()
	if exit, ok := errors.AsType[*exec.ExitError](err); ok && exit.Exited() {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// Furnish is for the inner process: its mounts show nowhere else, and /proc has
// its processes.
func Furnish() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("making mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", 0, ""); err != nil {
		return fmt.Errorf("mounting /proc: %w", err)
	}
	return nil
}
