package system

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/namespace"
)

const patience = isolated.Patience

// machine is a server with Debian, systemd its first process.
type machine struct {
	suite   suite
	root    *root
	network *namespace.Network
	cgroup  string // a directory below cgroups

	nspawn  *exec.Cmd // of the current boot
	console bytes.Buffer
	leader  int           // the machine's first process, as this one sees it
	off     chan struct{} // closed when the machine is off
}

// newMachine makes a machine that has never been on. It is switched off at the
// test's end.
func newMachine(t *testing.T, s suite) *machine {
	t.Helper()
	m := &machine{suite: s, root: newRoot(t, s), network: isolated.NewNetwork(t), cgroup: newControlGroup(t, s), off: make(chan struct{})}
	close(m.off)
	t.Cleanup(func() { m.kill(t) })
	return m
}

// boot switches the machine on and waits until all its units are started.
func (m *machine) boot(t *testing.T) {
	t.Helper()
	ready := listenForNotice(t)
	nspawn, err := nspawn(
		"--directory="+m.root.dir, "--boot",
		"--keep-unit", "--register=no", "--link-journal=no", // unknown to the host's systemd
		"--network-namespace-path="+m.network.Path(),
		"--resolv-conf=off", "--timezone=off", "--console=pipe", "--notify-ready=yes")
	if err != nil {
		t.Fatal(err)
	}
	cgroup, err := os.Open(m.cgroup)
	if err != nil {
		t.Fatal(err)
	}
	defer cgroup.Close()
	nspawn.SysProcAttr = &syscall.SysProcAttr{UseCgroupFD: true, CgroupFD: int(cgroup.Fd())}
	nspawn.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "NOTIFY_SOCKET=" + ready.path}
	m.console.Reset()
	nspawn.Stdout, nspawn.Stderr = &m.console, &m.console
	if err := nspawn.Start(); err != nil {
		t.Fatalf("starting systemd-nspawn: %v", err)
	}
	m.nspawn, m.leader, m.off = nspawn, 0, make(chan struct{})
	go func() {
		nspawn.Wait() // its exit status is useless: a machine that was killed has failed
		close(m.off)
	}()
	if m.leader, err = ready.await(m.off); err != nil {
		t.Fatalf("the machine does not boot: %v\n%s", err, m.consoleIfOff())
	}
	m.run(t, "systemctl", "is-system-running", "--wait")
}

// command is a command to run on the machine, as root.
func (m *machine) command(name string, args ...string) *exec.Cmd {
	enter := []string{fmt.Sprintf("--target=%d", m.leader), "--all", "--root", "--wd", "--", name}
	cmd := exec.Command("nsenter", append(enter, args...)...)
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
		"TERM=dumb", "SYSTEMD_PAGER=cat", "SYSTEMD_COLORS=0", "DEBIAN_FRONTEND=noninteractive"}
	return cmd
}

// run runs a command on the machine to its end, which must succeed, and returns
// its output.
func (m *machine) run(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := m.command(name, args...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// runFailing is run for a command that must fail and not be killed.
func (m *machine) runFailing(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := m.command(name, args...).CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); !ok || !exit.Exited() {
		t.Fatalf("%s %q must fail, but: %v\n%s", name, args, err, out)
	}
	return string(out)
}

// reboot shuts the machine down and boots it again.
func (m *machine) reboot(t *testing.T) {
	t.Helper()
	m.run(t, "systemctl", "poweroff")
	select {
	case <-m.off:
	case <-time.After(patience):
		t.Fatalf("the machine does not switch itself off\nits first process: %s\nsystemd-nspawn: %s",
			processState(m.leader), processState(m.nspawn.Process.Pid))
	}
	m.boot(t)
}

// processState is the kernel's state of a process.
func processState(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return err.Error()
	}
	stack, _ := os.ReadFile(fmt.Sprintf("/proc/%d/stack", pid))
	return fmt.Sprintf("%s\n%s", status, stack)
}

// kill switches the machine off without a shutdown.
func (m *machine) kill(t *testing.T) {
	select {
	case <-m.off:
		return
	default:
	}
	if m.leader != 0 {
		syscall.Kill(m.leader, syscall.SIGKILL)
	} else {
		m.nspawn.Process.Kill()
	}
	select {
	case <-m.off:
	case <-time.After(patience):
		t.Error("the machine cannot be switched off")
	}
}

// consoleIfOff is the output on the machine's console, which may not be read
// while the machine runs.
func (m *machine) consoleIfOff() string {
	select {
	case <-m.off:
		return m.console.String()
	default:
		return "(it is still on)"
	}
}
