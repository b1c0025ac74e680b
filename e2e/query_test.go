package e2e

import (
	"encoding/json"
	"errors"
	"os/exec"
	"strings"
	"testing"
)

// TestQuery asks the program why, as an operator does, beside a running
// daemon.
func TestQuery(t *testing.T) {
	w := newWorld(t)
	d := startDaemon(t, w)
	d.stopLater(t)
	for _, domain := range []string{"enforce.test", "mismatch.test", "testing.test"} {
		w.addMX(domain, "mx."+domain, "127.0.1.1")
	}
	w.publish("enforce.test", enforce("enforce.test"))
	w.publish("mismatch.test", otherHost("mismatch.test"))
	w.publish("testing.test", onlyTesting("testing.test"))
	w.publish("expired.test", hostExpired("expired.test"))
	w.publish("broken.test", broken("broken.test"))

	for _, test := range []struct {
		key     string
		status  int
		verdict string
		postfix string
		says    string
	}{
		{"enforce.test", 0, "policy", "OK secure match=mx.enforce.test servername=hostname", ""},
		{"[enforce.test]:587", 0, "policy", "OK secure match=mx.enforce.test servername=hostname", "no MX host matches"},
		{"mismatch.test", 0, "policy", "OK secure match=", "no MX host matches the policy: mail to mismatch.test will be deferred"},
		{"testing.test", 0, "policy", "NOTFOUND", ""},
		{"broken.test", 1, "none", "NOTFOUND", "policy invalid"},
		{"unknown.test", 1, "none", "NOTFOUND", "no MTA-STS record"},
		{"expired.test", 2, "cannot tell", "NOTFOUND", "certificate has expired"},
	} {
		t.Run(test.key, func(t *testing.T) {
			out, status := query(t, d, "--json", test.key)
			var report struct{ Verdict, Postfix string }
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			if status != test.status || report.Verdict != test.verdict || !strings.HasPrefix(report.Postfix, test.postfix) || !strings.Contains(out, test.says) {
				t.Errorf("exit status %d, want %d, %q, %q and %q:\n%s", status, test.status, test.verdict, test.postfix, test.says, out)
			}
			text, status := query(t, d, test.key)
			if status != test.status || !strings.Contains(text, report.Postfix) || !strings.Contains(text, test.says) {
				t.Errorf("as text, exit status %d:\n%s", status, text)
			}
		})
	}
}

func query(t *testing.T, d *daemon, args ...string) (out string, status int) {
	t.Helper()
	text, err := d.root.command(daemonPath, append([]string{"query", "--config", daemonConfig}, args...)...).CombinedOutput()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return string(text), exit.ExitCode()
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(text), 0
}
