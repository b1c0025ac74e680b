package e2e

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
)

// fromJail asks over TCP and over a socket below Postfix's queue directory, which
// is all that a jailed smtp client sees of the file system. Debian jails it in
// bookworm and trixie.
func fromJail(t *testing.T, m *matrix) {
	overTCP, overUnix, refused := m.row("jail as in Debian, TCP"), m.row("jail as in Debian, unix socket"), m.row("the same, not for Postfix")
	for _, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			for i, test := range []struct {
				row    *row
				domain string
				table  string
				access string // the socket's keys in the configuration
				mode   fs.FileMode
				group  uint32
				want   expectation
			}{
				{overTCP, "tcp.test", mapServer, `socket_mode: "0666"`, 0o666, 0, verified},
				{overUnix, "group.test", unixMap, `socket_mode: "0660", socket_group: postfix`, 0o660, postfixGroup, verified},
				{refused, "root.test", unixMap, `socket_mode: "0600"`, 0o600, 0, undecided},
			} {
				t.Run(test.domain, func(t *testing.T) {
					w := newWorld(t)
					w.publish(test.domain, enforce(test.domain))
					mx := w.openMX(t, test.domain, i+1, goodCertificate)
					p := instance{suite: s, postfix: startPostfix(t, w, s, "smtp_tls_policy_maps = "+test.table)}
					startDaemonBeside(t, w, p.postfix, test.access)
					checkSocket(t, filepath.Join(p.root.jail(), "mta-sts", "sock"), test.mode, test.group)

					rcpt := "postmaster@" + test.domain
					queueID := p.send(t, rcpt)
					got := p.outcome(t, queueID)
					test.row.record(p, got)
					check(t, test.want, got, mx, rcpt)
					if got := p.jailOf(t, queueID); (got == p.root.jail()) != s.jails() {
						t.Errorf("the smtp client runs in %s: this test has shown nothing", got)
					}
				})
			}
		})
	}
}

// unixMap is the daemon's socket as main.cf names it.
const unixMap = "socketmap:unix:mta-sts/sock:postfix"

// jails tells whether Debian has the smtp client run in a jail.
func (s suite) jails() bool { return s != forky }

// startDaemonBeside starts the daemon in Postfix's root. It listens on a socket
// below the queue directory, and on TCP.
func startDaemonBeside(t *testing.T, w *world, p *postfix, access string) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(p.root.jail(), "mta-sts"), 0o755); err != nil {
		t.Fatal(err)
	}
	startDaemonIn(t, w, p.root, fmt.Sprintf(
		`listen: {socketmap: [%q, "unix:/var/spool/postfix/mta-sts/sock"], %s}`, daemonAddr, access)).stopLater(t)
}

func checkSocket(t *testing.T, path string, mode fs.FileMode, group uint32) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, gid := info.Mode(), info.Sys().(*syscall.Stat_t).Gid; got != fs.ModeSocket|mode || gid != group {
		t.Errorf("the socket is %v of group %d", got, gid)
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
