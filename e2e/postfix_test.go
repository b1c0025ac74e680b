package e2e

import (
	"cmp"
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// postfix is a running instance of Postfix in a root of its own. It sends
// mail and takes none but from its sendmail command.
type postfix struct {
	root      *root
	directory string // of main.cf; "": the usual one
	master    *process
	version   string
}

// The daemon's lookup tables as main.cf names them.
const (
	mapServer = "socketmap:inet:" + daemonAddr + ":postfix"
	tcpTable  = "tcp:" + tcpTableAddr
)

// startPostfix starts an instance of the suite's Postfix that asks the daemon
// about TLS. settings are lines of main.cf that add to or replace those here.
func startPostfix(t *testing.T, w *world, s suite, settings ...string) *postfix {
	t.Helper()
	p := &postfix{root: newRoot(t, s)}
	p.configure(t, w, settings...)
	p.master = startProcess(t, p.root.command("/usr/sbin/postfix", "start-fg"))
	p.version = await(t, p.master, "a running Postfix", findVersion)
	t.Cleanup(func() {
		run(t, p.root.command("/usr/sbin/postfix", "stop"))
		p.master.awaitEnd(t)
	})
	return p
}

// configure writes main.cf and the files that the smtp client's chroot needs.
func (p *postfix) configure(t *testing.T, w *world, settings ...string) {
	t.Helper()
	p.root.write(t, "etc/postfix/ca.pem", string(w.ca.PEM()))
	p.root.write(t, "etc/postfix/main.cf", settingsFile("=", append([]string{
		"compatibility_level = 3.6",
		"maillog_file = /dev/stdout",
		"myhostname = " + senderHost,
		"mydestination =",
		"alias_maps =",
		"inet_interfaces = 127.0.0.1",
		"inet_protocols = ipv4",
		"enable_long_queue_ids = yes", // never used twice
		"smtp_tls_security_level = may",
		"smtp_tls_policy_maps = " + mapServer,
		"smtp_tls_CAfile = /etc/postfix/ca.pem",
		"smtp_tls_loglevel = 1",
	}, settings...)...))
	// Debian copies these into the smtp client's jail when Postfix starts.
	for _, name := range []string{"etc/resolv.conf", "etc/services"} {
		run(t, p.root.command("/bin/cp", "/"+name, "/var/spool/postfix/"+name))
	}
}

// senderHost is Postfix's own name.
const senderHost = "client.test"

// send gives Postfix a message to rcpt and returns its queue id.
func (p *postfix) send(t *testing.T, rcpt string) (queueID string) {
	t.Helper()
	return p.sendWith(t, rcpt, "")
}

// sendWith does so with more lines of the header and options of sendmail.
func (p *postfix) sendWith(t *testing.T, rcpt, header string, options ...string) (queueID string) {
	t.Helper()
	messageID := fmt.Sprintf("<%s@%s>", rand.Text(), senderHost)
	sendmail := p.root.command("/usr/sbin/sendmail", append(options, "-C", cmp.Or(p.directory, "/etc/postfix"), "-f", "sender@"+senderHost, rcpt)...)
	sendmail.Stdin = strings.NewReader(header + "Subject: end to end\nMessage-ID: " + messageID + "\n\nHello.\n")
	run(t, sendmail)
	return await(t, p.master, "a queue id", func(lines []string) (string, bool) {
		return findQueueID(lines, messageID)
	})
}

// outcome waits for the first attempt to deliver a message.
func (p *postfix) outcome(t *testing.T, queueID string) outcome {
	t.Helper()
	return await(t, p.master, "an outcome for "+queueID, func(lines []string) (outcome, bool) {
		return findOutcome(lines, queueID, "")
	})
}

// awaitSent waits for an attempt that succeeds.
func (p *postfix) awaitSent(t *testing.T, queueID string) outcome {
	t.Helper()
	return await(t, p.master, "a delivery of "+queueID, func(lines []string) (outcome, bool) {
		return findOutcome(lines, queueID, statusSent)
	})
}

// smtpLine is a line of the smtp client in Postfix's log.
var smtpLine = regexp.MustCompile(` postfix/smtp\[(\d+)\]: `)

// reload puts Postfix's settings in force. It waits until the smtp clients with the
// previous settings have ended, because they may take the next message.
func (p *postfix) reload(t *testing.T) {
	t.Helper()
	clients := map[string]bool{} // by process id
	for _, line := range smtpLine.FindAllStringSubmatch(p.master.said.String(), -1) {
		clients[line[1]] = true
	}
	run(t, p.root.command("/usr/sbin/postfix", "reload"))
	tooLong := time.After(patience)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for pid := range clients {
		for isSMTPClient(pid) {
			select {
			case <-again.C:
			case <-tooLong:
				t.Fatal("an smtp client outlives a reload")
			}
		}
	}
}

func isSMTPClient(pid string) bool {
	name, err := os.ReadFile(filepath.Join("/proc", pid, "comm"))
	return err == nil && strings.TrimSpace(string(name)) == "smtp"
}

// flush makes Postfix retry all deferred mail, as an operator does.
func (p *postfix) flush(t *testing.T) {
	t.Helper()
	run(t, p.root.command("/usr/sbin/postqueue", "-f"))
}

// postmap asks a lookup table for key as an operator does. found is false if
// there is no answer (exit status 1 of postmap).
func (p *postfix) postmap(t *testing.T, table, key string) (answer string, found bool) {
	t.Helper()
	cmd := p.root.command("/usr/sbin/postmap", "-q", key, table)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if exit, ok := err.(*exec.ExitError); ok && exit.ExitCode() == 1 && stderr.Len() == 0 {
		return "", false
	}
	if err != nil || stderr.Len() > 0 {
		t.Fatalf("postmap -q %q: %v %s", key, err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n"), true
}
