package system

import (
	"strings"
	"testing"
)

// removeAndPurge removes the package, which keeps configuration and policies, and purges it,
// which leaves nothing. Postfix, whose main.cf still has the map, defers all mail until its
// administrator follows the instructions that the removal prints.
func removeAndPurge(t *testing.T, v *server) {
	const d domain = "removed.test"
	v.publish(d)
	// apt runs scripts on a terminal, whose lines end in CRLF.
	said := strings.ReplaceAll(v.run(t, "apt-get", "remove", "--yes", "mta-sts-daemon"), "\r", "")
	maps := strings.TrimSpace(v.run(t, "postconf", "smtp_tls_policy_maps"))
	for _, want := range []string{"Postfix still asks for TLS policies:\n" + maps + "\n", "Postfix now defers all mail", "postfix reload\n    postqueue -f\n"} {
		if !strings.Contains(said, want) {
			t.Errorf("apt does not print %q:\n%s", want, said)
		}
	}
	v.submit(t, "postmaster@"+string(d))
	v.awaitInJournal(t, "status=deferred (client TLS configuration problem", "--identifier=postfix/smtp")
	v.run(t, "postconf", "-e", "smtp_tls_policy_maps=")
	v.run(t, "postfix", "reload")
	v.run(t, "postqueue", "-f")
	v.awaitMail(t, "postmaster@"+string(d), func() { v.run(t, "postqueue", "-f") })

	for _, kept := range []string{configFile, "/var/lib/private/mta-sts-daemon/policies.db"} {
		if _, err := v.root.files.Lstat(relative(kept)); err != nil {
			t.Errorf("remove has deleted %s: %v", kept, err)
		}
	}
	for _, gone := range []string{"/usr/bin/mta-sts-daemon", "/run/mta-sts-daemon", "/var/spool/postfix/mta-sts/sock"} {
		if out, err := v.command("ls", "-d", gone).CombinedOutput(); err == nil {
			t.Errorf("remove has left %s", out)
		}
	}
	v.runFailing(t, "systemctl", "is-active", serviceUnit, socketUnit)

	v.run(t, "apt-get", "purge", "--yes", "mta-sts-daemon")
	if left := v.run(t, "find", "/", "-name", "*mta-sts*", "-not", "-path", "/proc/*", "-not", "-path", "/sys/*"); left != "" {
		t.Errorf("purge has left:\n%s", left)
	}
	if left, err := v.command("getent", "passwd", "mta-sts-daemon").Output(); err == nil {
		t.Errorf("purge has left a user: %s", left)
	}
}
