package system

import (
	"strings"
	"testing"
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
	v.mx.awaitMail(t, recipient)
}

// submit gives Postfix a message.
func (v *server) submit(t *testing.T, recipient string) {
	t.Helper()
	cmd := v.command("sendmail", "-f", "root@host.test", recipient)
	cmd.Stdin = strings.NewReader("Subject: a test\n\nThat is all.\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("sendmail: %v\n%s", err, out)
	}
}
