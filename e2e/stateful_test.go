package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Paths of the policy file of a daemon that keeps it.
const (
	stateDir   = "/var/lib/mta-sts-daemon"
	policyFile = stateDir + "/policies.db"
)

// keepPolicies is the setting for such a daemon.
const keepPolicies = `cache: {file: "` + policyFile + `"}`

// onDisk puts the root's state directory on the host's disk instead of memory, so
// that writes take as long as in reality.
func (r *root) onDisk(t *testing.T) {
	t.Helper()
	dir, err := os.MkdirTemp(os.Getenv(envWorkDir), "state-")
	if err != nil {
		t.Fatal(err)
	}
	r.mountState(t, dir, "", unix.MS_BIND, "")
}

// mountState is mount(2) on the root's state directory.
func (r *root) mountState(t *testing.T, source, fstype string, flags uintptr, data string) {
	t.Helper()
	target := filepath.Join(r.dir, stateDir)
	if err := os.MkdirAll(target, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(source, target, fstype, flags, data); err != nil {
		t.Fatalf("mounting the state directory: %v", err)
	}
}

// kill ends the daemon as a crash does.
func (d *daemon) kill(t *testing.T) {
	t.Helper()
	if err := d.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	d.awaitEnd(t)
}

// again starts the daemon again, with the files of the one before.
func (d *daemon) again(t *testing.T) {
	t.Helper()
	d.process = startProcess(t, d.root.command(daemonPath, "serve", "--config", daemonConfig))
	d.awaitSaid(t, saysReady, 1)
}

// warnings are the daemon's log lines of level warning or above.
func (d *daemon) warnings() (warnings []string) {
	lines, _ := d.said.snapshot()
	for _, line := range lines {
		if strings.Contains(line, "level=WARN") || strings.Contains(line, "level=ERROR") {
			warnings = append(warnings, line)
		}
	}
	return warnings
}

// setAside are the files that were found damaged.
func (d *daemon) setAside(t *testing.T) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(d.root.dir, policyFile+".damaged-*"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// wantAnswer asks once.
func wantAnswer(t *testing.T, key, want string) {
	t.Helper()
	if answer, err := askOnce(key); err != nil || answer != want {
		t.Errorf("%s: got %q, %v; want %q", key, answer, err, want)
	}
}

// secure is the answer for a domain whose policy is enforce's.
func secure(domain string) string {
	return "OK secure match=mx." + domain + " servername=hostname"
}

const notKnown = "NOTFOUND "
