package e2e

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// status is what became of an attempt to deliver, in Postfix's word.
type status string

const (
	statusSent     status = "sent"
	statusDeferred status = "deferred"
	statusBounced  status = "bounced"
)

// outcome is what Postfix's log says of one attempt to deliver a message.
type outcome struct {
	Status status
	DSN    string // enhanced status code
	Relay  string // host[address]:port, or "none"
	TLS    string // first word of the log's line on TLS: Verified, Trusted, Untrusted, or "" without a TLS line
	Fault  string // the certificate's fault in the log's TLS line, or ""
	Text   string // the other side's words, or Postfix's reason
}

// String is the outcome in one line, without empty fields.
func (o outcome) String() string {
	words := strings.Fields(fmt.Sprintf("%s %s %s", o.Status, o.DSN, o.TLS))
	if o.Fault != "" {
		words = append(words, "["+o.Fault+"]")
	}
	return strings.Join(words, " ") + ": " + o.Text
}

// brief is the outcome in a few words.
func (o outcome) brief() string {
	switch {
	case o.Status == statusSent && o.TLS == "":
		return "sent in clear"
	case o.Status == statusSent:
		return "sent, " + o.TLS
	case o.Fault != "":
		return fmt.Sprintf("%s %s, %s", o.Status, o.DSN, o.Fault)
	default:
		return fmt.Sprintf("%s %s", o.Status, o.DSN)
	}
}

var (
	logVersion  = regexp.MustCompile(` daemon started -- version ([0-9.]+),`)
	logQueueID  = regexp.MustCompile(` postfix/cleanup\[\d+\]: (\w+): message-id=(<.*>)$`)
	logDelivery = regexp.MustCompile(` postfix/[a-z/]+\[(\d+)\]: (\w+): to=<.*>, relay=([^,]*), .*dsn=([0-9.]+), status=(\w+) \((.*)\)$`)
	logTLS      = regexp.MustCompile(` postfix/[a-z/]+\[(\d+)\]: (\w+) TLS connection (?:established|reused) to ([^ ]+): `)
	logFault    = regexp.MustCompile(` postfix/[a-z/]+\[(\d+)\]: (?:server )?certificate verification failed for ([^ ]+): (?:num=\d+:)?(.*)$`)
)

// findVersion looks for the line with which Postfix begins.
func findVersion(lines []string) (version string, ok bool) {
	for _, line := range lines {
		if m := logVersion.FindStringSubmatch(line); m != nil {
			return m[1], true
		}
	}
	return "", false
}

// findQueueID looks for the message's queue id in the lines of the log.
func findQueueID(lines []string, messageID string) (queueID string, ok bool) {
	for _, line := range lines {
		if m := logQueueID.FindStringSubmatch(line); m != nil && m[2] == messageID {
			return m[1], true
		}
	}
	return "", false
}

// findAgent looks for the process that made the first attempt to deliver the
// message.
func findAgent(lines []string, queueID string) (pid string, ok bool) {
	for _, line := range lines {
		if m := logDelivery.FindStringSubmatch(line); m != nil && m[2] == queueID {
			return m[1], true
		}
	}
	return "", false
}

// findOutcome finds the first delivery attempt of the message with status want,
// or with any status if want is "". TLS lines have no queue id: they are the
// earlier lines of the same process about the same relay.
func findOutcome(lines []string, queueID string, want status) (o outcome, ok bool) {
	type connection struct{ pid, relay string }
	// A host name is in the letters of whoever was asked last.
	connectionOf := func(pid, relay string) connection { return connection{pid, strings.ToLower(relay)} }
	established, faults := make(map[connection]string), make(map[connection]string)
	for _, line := range lines {
		if m := logFault.FindStringSubmatch(line); m != nil {
			faults[connectionOf(m[1], m[2])] = m[3]
		} else if m := logTLS.FindStringSubmatch(line); m != nil {
			established[connectionOf(m[1], m[3])] = m[2]
		} else if m := logDelivery.FindStringSubmatch(line); m != nil {
			conn := connectionOf(m[1], m[3])
			if m[2] == queueID && (want == "" || want == status(m[5])) {
				return outcome{status(m[5]), m[4], m[3], established[conn], faults[conn], m[6]}, true
			}
			delete(established, conn)
			delete(faults, conn)
		}
	}
	return outcome{}, false
}

func TestFindOutcome(t *testing.T) {
	t.Parallel()
	log := strings.Split(strings.TrimSpace(`
Nov 22 00:54:25 client postfix/master[440]: daemon started -- version 3.7.11, configuration /etc/postfix
Nov 22 00:54:26 client postfix/pickup[449]: 672FCC6: uid=0 from=<s@client.test>
Nov 22 00:54:26 client postfix/cleanup[455]: 672FCC6: message-id=<a@client.test>
Nov 22 00:54:26 client postfix/cleanup[455]: 700000A: message-id=<b@client.test>
Nov 22 00:54:26 client postfix/smtp[458]: server certificate verification failed for mx.a.test[127.0.1.1]:25: num=62:hostname mismatch
Nov 22 00:54:26 client postfix/smtp[458]: Untrusted TLS connection established to mx.a.test[127.0.1.1]:25: TLSv1.3 with cipher X
Nov 22 00:54:26 client postfix/smtp[459]: Verified TLS connection established to mx.a.test[127.0.1.1]:25: TLSv1.3 with cipher X
Nov 22 00:54:27 client postfix/smtp[458]: 672FCC6: to=<r@a.test>, relay=mx.A.test[127.0.1.1]:25, delay=0.01, delays=0/0/0/0, dsn=4.7.5, status=deferred (Server certificate not verified)
Nov 22 00:54:28 client postfix/smtp[459]: 700000A: to=<r@b.test>, relay=none, delay=0.01, delays=0/0/0/0, dsn=4.4.3, status=deferred (Host not found, try again)
Nov 22 00:54:29 client postfix/smtp[458]: Verified TLS connection reused to mx.a.test[127.0.1.1]:25: TLSv1.3 with cipher X
Nov 22 00:54:29 client postfix/smtp[458]: 672FCC6: to=<r@a.test>, relay=mx.a.test[127.0.1.1]:25, conn_use=2, delay=0.01, delays=0/0/0/0, dsn=2.0.0, status=sent (250 2.0.0 (taken))
`), "\n")

	if version, ok := findVersion(log); !ok || version != "3.7.11" {
		t.Errorf("version %q, %v", version, ok)
	}
	if id, ok := findQueueID(log, "<b@client.test>"); !ok || id != "700000A" {
		t.Errorf("queue id %q, %v", id, ok)
	}
	if pid, ok := findAgent(log, "700000A"); !ok || pid != "459" {
		t.Errorf("agent %q, %v", pid, ok)
	}
	for _, test := range []struct {
		queueID string
		want    status
		found   bool
		outcome outcome
	}{
		{"672FCC6", "", true, outcome{statusDeferred, "4.7.5", "mx.A.test[127.0.1.1]:25", "Untrusted", "hostname mismatch", "Server certificate not verified"}},
		{"672FCC6", statusSent, true, outcome{statusSent, "2.0.0", "mx.a.test[127.0.1.1]:25", "Verified", "", "250 2.0.0 (taken)"}},
		{"700000A", "", true, outcome{statusDeferred, "4.4.3", "none", "", "", "Host not found, try again"}},
		{"700000A", statusSent, false, outcome{}},
		{"672FCC", "", false, outcome{}},
	} {
		got, found := findOutcome(log, test.queueID, test.want)
		if diff := cmp.Diff(test.outcome, got); diff != "" || found != test.found {
			t.Errorf("%s %q: found %v, -want +got\n%s", test.queueID, test.want, found, diff)
		}
	}
}
