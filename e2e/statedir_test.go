package e2e

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// Messages of the daemon about its policy file.
const (
	saysFailing   = `level=WARN msg="Policy file cannot be written`
	saysWritable  = `msg="Policy file can be written again`
	saysOtherUser = "another daemon uses this policy file"
)

// TestStateDirectory starts the daemon without a place for its policies: it
// starts nevertheless, warns, and answers from memory. When there is a place, it
// saves its policies.
func TestStateDirectory(t *testing.T) {
	for _, tc := range []struct {
		name   string
		spoil  func(t *testing.T, r *root)
		mend   func(t *testing.T, r *root)
		reason string // in the warning
	}{
		{"read-only", func(t *testing.T, r *root) {
			r.mountState(t, "tmpfs", "tmpfs", unix.MS_RDONLY, "")
		}, func(t *testing.T, r *root) {
			r.mountState(t, "tmpfs", "tmpfs", unix.MS_REMOUNT, "")
		}, "read-only file system"},
		{"full", func(t *testing.T, r *root) {
			r.mountState(t, "tmpfs", "tmpfs", 0, "size=2m")
			fillUp(t, filepath.Join(r.dir, stateDir))
		}, func(t *testing.T, r *root) {
			if err := os.Remove(filepath.Join(r.dir, stateDir, filler)); err != nil {
				t.Fatal(err)
			}
		}, "no space left on device"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newBareWorld(t)
			w.addMX("enforce.test", "mx.enforce.test", "127.0.1.1")
			w.publish("enforce.test", enforce("enforce.test"))
			r := newRoot(t, bookworm)
			tc.spoil(t, r)
			d := startDaemonIn(t, w, r, askAuthority, keepPolicies)
			wantAnswer(t, "enforce.test", secure("enforce.test"))
			w.cutOff()
			wantAnswer(t, "enforce.test", secure("enforce.test"))
			warnings := d.warnings()
			if len(warnings) != 1 || !strings.Contains(warnings[0], saysFailing) || !strings.Contains(warnings[0], tc.reason) {
				t.Errorf("the daemon warned: %q; want %q, once", warnings, tc.reason)
			}

			tc.mend(t, r)
			d.awaitSaid(t, saysWritable, 1)
			d.kill(t)
			d.again(t)
			wantAnswer(t, "enforce.test", secure("enforce.test"))
			wantNoWarning(t, d)
			d.stop(t)
		})
	}
}

const filler = "filler"

// fillUp leaves no space in dir.
func fillUp(t *testing.T, dir string) {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, filler))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, os.Getpagesize()); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, unix.ENOSPC) {
		t.Fatal(err)
	}
}

// TestTwoDaemons starts a second daemon on the first one's policy file: it says
// so and ends, and the first does not notice.
func TestTwoDaemons(t *testing.T) {
	w := newBareWorld(t)
	w.addMX("enforce.test", "mx.enforce.test", "127.0.1.1")
	w.publish("enforce.test", enforce("enforce.test"))
	r := newRoot(t, bookworm)
	d := startDaemonIn(t, w, r, askAuthority, keepPolicies)
	const config = "/etc/mta-sts-daemon/second.yaml"
	r.write(t, config, settingsFile(":", keepPolicies, fmt.Sprintf("listen: {socketmap: [%q]}", tcpTableAddr)))

	out, err := r.command(daemonPath, "serve", "--config", config).CombinedOutput()
	exit, ok := errors.AsType[*exec.ExitError](err)
	if !ok || exit.ExitCode() != 1 {
		t.Errorf("the second daemon ended with %v, want exit status 1", err)
	}
	if said := strings.TrimSpace(string(out)); !strings.Contains(said, saysOtherUser) || strings.Contains(said, "\n") {
		t.Errorf("the second daemon said %q, want one line with %q", said, saysOtherUser)
	}
	wantAnswer(t, "enforce.test", secure("enforce.test"))
	d.stop(t)
	wantNoWarning(t, d)
}
