package system

import (
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/smtpsink"
)

// deliver sends mail through Postfix to domains whose policy the daemon knows,
// over each of the sockets that systemd holds. Debian runs the client that asks in a chroot.
func deliver(t *testing.T, v *server) {
	for _, route := range []struct {
		name string
		maps string
		to   domain
	}{
		{"tcp", "socketmap:inet:" + socketmapAddr + ":postfix", "tcp.test"},
		{"unix", "socketmap:unix:mta-sts/sock:postfix", "unix.test"},
	} {
		t.Run(route.name, func(t *testing.T) {
			v.publish(route.to)
			v.root.write(t, mainCFFile, mainCF(route.maps))
			v.run(t, "postfix", "reload")
			v.send(t, "postmaster@"+string(route.to))
			v.awaitInJournal(t, "Verified TLS connection established to "+route.to.mx(), "--identifier=postfix/smtp")
		})
	}
}

// send sends a message and waits until the MX host has it.
func (v *server) send(t *testing.T, recipient string) {
	t.Helper()
	v.submit(t, recipient)
	v.awaitMail(t, recipient, func() {})
}

// awaitMail waits until the MX host has received the next message, which must be to recipient.
// It calls retry every two seconds: after a reload of Postfix, an smtp client with the previous
// settings can take the first attempt.
func (v *server) awaitMail(t *testing.T, recipient string, retry func()) {
	t.Helper()
	var got []smtpsink.Message
	tried := time.Now()
	isolated.Eventually(t, "mail to "+recipient, func() bool {
		if time.Since(tried) > 2*time.Second {
			tried = time.Now()
			retry()
		}
		got = v.mx.Collect(hostName)
		return len(got) > 0
	})
	if len(got) > 1 || got[0].Recipient != recipient {
		t.Fatalf("the MX host has taken %+v, want a message to %s", got, recipient)
	}
}

// submit gives Postfix a message.
func (v *server) submit(t *testing.T, recipient string) {
	t.Helper()
	cmd := v.command("sendmail", "-f", "root@"+hostName, recipient)
	cmd.Stdin = strings.NewReader("Subject: a test\n\nThat is all.\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
}
