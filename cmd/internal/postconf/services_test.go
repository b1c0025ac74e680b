package postconf

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestServices(t *testing.T) {
	t.Parallel()
	c := Command{Path: fake(t, t.TempDir(), `
case $1 in
-F) cat <<'end'
127.0.0.1:25/inet/chroot = y
127.0.0.1:25/inet/command = smtpd -o smtpd_tls_security_level=may
smtp/unix/chroot = -
smtp/unix/command = smtp
a/b/unix/chroot = n
a/b/unix/command = /opt/bin/smtp -v
end
;;
-x) cat <<'end'
127.0.0.1:25/inet/smtpd_tls_security_level = may
a/b/unix/smtp_tls_CAfile = /a b=c
a/b/unix/smtp_tls_policy_maps =
end
esac`)}
	want := []Service{
		{"127.0.0.1:25", "inet", "y", "smtpd", map[string]string{"smtpd_tls_security_level": "may"}},
		{"a/b", "unix", "n", "smtp", map[string]string{"smtp_tls_CAfile": "/a b=c", "smtp_tls_policy_maps": ""}},
		{"smtp", "unix", "-", "smtp", map[string]string{}},
	}
	got, err := c.Services(t.Context())
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got)\n%s", err, diff)
	}
}

func TestServicesFailures(t *testing.T) {
	t.Parallel()
	for _, script := range []string{
		"echo smtp/chroot = y",
		"echo smtp/unix/chroot",
		"if [ $1 = -x ]; then echo smtp = y; else echo smtp/unix/chroot = y; fi",
	} {
		c := Command{Path: fake(t, t.TempDir(), script)}
		if got, err := c.Services(t.Context()); !errors.Is(err, ErrOutput) || got != nil {
			t.Errorf("%s: got %v, error %v", script, got, err)
		}
	}
	c := Command{Path: fake(t, t.TempDir(), "echo 'postconf: fatal: open /etc/postfix/master.cf: No such file or directory' >&2; exit 1")}
	var exit *ExitError
	if _, err := c.Services(t.Context()); !errors.As(err, &exit) {
		t.Errorf("no master.cf: error %v", err)
	}
	if _, err := (Command{testingOnlyDirs: []string{}}).Services(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("no Postfix: error %v", err)
	}
}
