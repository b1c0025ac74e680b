package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// overTCPTable delivers by the other protocol. Its lines have a limit, which a
// policy of very many MX host patterns exceeds: mail waits then. Postfix does
// not log the reason that a tcp_table gives; the daemon does.
func overTCPTable(t *testing.T, m *matrix) {
	w := newWorld(t)
	d := startDaemon(t, w, listenAll)
	d.stopLater(t)
	f := startFleet(t, w, []answers{plain}, "smtp_tls_policy_maps = "+tcpTable)
	for i, test := range []struct {
		domain      string
		patterns    int
		certificate certificate
		want        expectation
	}{
		{"good.test", 1, goodCertificate, verified},
		{"wrong.test", 1, wrongName, mismatch},
		{"hundred.test", 100, goodCertificate, verified},
		{"five-hundred.test", 500, goodCertificate, undecided},
	} {
		t.Run(test.domain, func(t *testing.T) {
			address := fmt.Sprintf("127.0.1.%d", i+1)
			w.addMX(test.domain, "mx."+test.domain, address)
			w.publish(test.domain, enforceMany(test.patterns)(test.domain))
			mx := startSink(t, w.ca, address+":25", "mx."+test.domain, test.certificate)
			f.deliver(t, m.row("tcp_table, "+test.domain), "postmaster@"+test.domain, mx, always(test.want))
			if test.want == undecided {
				d.awaitSaid(t, "domain="+test.domain+" result=TEMP answer=\"the policy is longer than Postfix reads from a tcp_table, use a socketmap\"", 1)
			}
		})
	}
}

// TestTCPTableReport checks what a listener with report attributes leaves out if
// an answer is too long for its line: the policy's text first, then all
// attributes.
func TestTCPTableReport(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w, listenAll).stopLater(t)
	p := startPostfix(t, w, bookworm)
	for _, test := range []struct {
		domain          string
		patterns        int
		reported, lines int // so many patterns, and lines of the policy's text
	}{
		{"few.test", 5, 5, 8},
		{"fifty.test", 50, 50, 0},
		{"hundred.test", 100, 0, 0},
	} {
		w.publish(test.domain, enforceMany(test.patterns)(test.domain))
		answer, _ := p.postmap(t, "tcp:"+reportAddr, test.domain)
		want := "secure match=" + strings.Join(manyHosts(test.domain, test.patterns), ":") + " servername=hostname"
		if !strings.HasPrefix(answer, want) {
			t.Errorf("%s: got %q, want it to begin with %q", test.domain, answer, want)
		}
		if got := strings.Count(answer, " mx_host_pattern="); got != test.reported {
			t.Errorf("%s: %d MX host patterns are reported, want %d", test.domain, got, test.reported)
		}
		if got := strings.Count(answer, " { policy_string = "); got != test.lines {
			t.Errorf("%s: %d lines of the policy are reported, want %d", test.domain, got, test.lines)
		}
	}
}
