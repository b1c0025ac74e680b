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
	for _, domain := range []string{"enforce.test", "mismatch.test", "testing.test", "broken.test", "expired.test"} {
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
		outcome string
		postfix string
		says    string
	}{
		{"enforce.test", 0, "protected-sts", "OK secure match=mx.enforce.test servername=hostname", ""},
		{"[enforce.test]:587", 3, "undeliverable", "OK secure match=mx.enforce.test servername=hostname", "has an address"},
		{"mismatch.test", 3, "deferred", "OK secure match=", "the policy names none of its MX hosts"},
		{"testing.test", 1, "unprotected", "NOTFOUND", "mode is testing"},
		{"broken.test", 4, "broken", "NOTFOUND", "policy invalid"},
		{"unknown.test", 3, "undeliverable", "NOTFOUND", "does not exist (NXDOMAIN)"},
		{"expired.test", 4, "broken", "NOTFOUND", "it expired on"},
	} {
		t.Run(test.key, func(t *testing.T) {
			out, status := query(t, d, "--json", test.key)
			var report struct{ Outcome, Postfix string }
			if err := json.Unmarshal([]byte(out), &report); err != nil {
				t.Fatalf("%v:\n%s", err, out)
			}
			if status != test.status || report.Outcome != test.outcome || !strings.HasPrefix(report.Postfix, test.postfix) || !strings.Contains(out, test.says) {
				t.Errorf("exit status %d, want %d, %q, %q and %q:\n%s", status, test.status, test.outcome, test.postfix, test.says, out)
			}
			text, status := query(t, d, test.key)
			first, _, _ := strings.Cut(text, "\n")
			if status != test.status || !strings.Contains(first, strings.ToUpper(test.outcome)) || !strings.Contains(text, report.Postfix) || !strings.Contains(text, test.says) {
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
