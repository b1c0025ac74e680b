package system

import "testing"

// removeAndPurge removes the package from the server, first without its policies
// and configuration, then completely.
func removeAndPurge(t *testing.T, v *server) {
	v.run(t, "apt-get", "remove", "--yes", "mta-sts-daemon")
	for _, kept := range []string{configFile, "/var/lib/private/mta-sts-daemon/policies.db"} {
		if _, err := v.root.files.Lstat(relative(kept)); err != nil {
			t.Errorf("remove has not kept %s: %v", kept, err)
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
