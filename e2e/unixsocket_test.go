package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// TestUnixSocket has Debian's jailed smtp client ask over a socket below its
// queue directory, which is all that it sees of the file system. Beside it the
// daemon listens on TCP.
func TestUnixSocket(t *testing.T) {
	w := newWorld(t)
	w.publish("ask.test", enforce("ask.test"))
	for i, test := range []struct {
		domain, access string // access: what the configuration says of it
		mode           fs.FileMode
		group          uint32
		want           expectation
	}{
		{"group.test", `socket_mode: "0660", socket_group: postfix`, 0o660, postfixGroup, verified},
		{"root.test", `socket_mode: "0600"`, 0o600, 0, undecided},
	} {
		t.Run(test.domain, func(t *testing.T) {
			address := fmt.Sprintf("127.0.1.%d", i+1)
			w.addMX(test.domain, "mx."+test.domain, address)
			w.publish(test.domain, enforce(test.domain))
			mx := startSink(t, w.ca, address+":25", "mx."+test.domain, goodCertificate)
			p := startPostfix(t, w, bookworm, "smtp_tls_policy_maps = socketmap:unix:mta-sts/sock:postfix")
			socket := filepath.Join(p.root.jail(), "mta-sts", "sock")
			if err := os.Mkdir(filepath.Dir(socket), 0o755); err != nil {
				t.Fatal(err)
			}
			startDaemonIn(t, w, p.root, fmt.Sprintf(
				`listen: {socketmap: [%q, "unix:/var/spool/postfix/mta-sts/sock"], %s}`, daemonAddr, test.access)).stopLater(t)

			info, err := os.Stat(socket)
			if err != nil {
				t.Fatal(err)
			}
			if mode, gid := info.Mode(), info.Sys().(*syscall.Stat_t).Gid; mode != fs.ModeSocket|test.mode || gid != test.group {
				t.Errorf("the socket is %v of group %d", mode, gid)
			}
			rcpt := "postmaster@" + test.domain
			queueID := p.send(t, rcpt)
			check(t, test.want, p.outcome(t, queueID), mx, rcpt)
			if got := p.jailOf(t, queueID); got != p.root.jail() {
				t.Errorf("the smtp client runs in %s: this test has shown nothing", got)
			}
			if _, found := p.postmap(t, mapServer, "ask.test"); !found {
				t.Error("no answer over TCP")
			}
		})
	}
}

// jail is what jailed programs of Postfix take for the whole file system.
func (r *root) jail() string { return filepath.Join(r.dir, "var/spool/postfix") }

// jailOf returns the root directory of the process that has delivered, or tried
// to deliver, a message.
func (p *postfix) jailOf(t *testing.T, queueID string) string {
	t.Helper()
	pid := await(t, p.master, "a delivery agent", func(lines []string) (string, bool) {
		return findAgent(lines, queueID)
	})
	dir, err := os.Readlink(filepath.Join("/proc", pid, "root"))
	if err != nil {
		t.Fatal(err)
	}
	return dir
}
