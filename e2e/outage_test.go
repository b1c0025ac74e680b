package e2e

import (
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// TestDaemonDown has Postfix send while the daemon does not run: all mail
// waits, and goes out, still under the policy, when the daemon is back.
func TestDaemonDown(t *testing.T) {
	w := newWorld(t)
	p := startPostfix(t, w, bookworm)
	type domain struct {
		name, address string
		want          expectation
		queueID       string
		mx            *sink
	}
	domains := []*domain{
		{name: "enforce.test", address: "127.0.1.1", want: verified},
		{name: "no-record.test", address: "127.0.1.2", want: trusted},
	}
	w.publish("enforce.test", enforce("enforce.test"))
	for _, d := range domains {
		w.addMX(d.name, "mx."+d.name, d.address)
		d.mx = startSink(t, w.ca, d.address+":25", "mx."+d.name, goodCertificate)
		d.queueID = p.send(t, "postmaster@"+d.name)
		got := p.outcome(t, d.queueID)
		if got.Status != statusDeferred || got.DSN != "4.7.5" || !strings.Contains(got.Text, "TLS") {
			t.Errorf("%s, daemon down: %v", d.name, got)
		}
	}

	startDaemon(t, w).stopLater(t)
	p.flush(t)
	for _, d := range domains {
		check(t, d.want, p.awaitSent(t, d.queueID), d.mx, "postmaster@"+d.name)
	}
}

// TestRecordUnknown has the lookup of the record fail, as a domain's broken
// name servers make it. Nothing is known then, and mail goes out as it would
// have without MTA-STS (RFC 8461 section 5.1).
func TestRecordUnknown(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm)
	w.addMX("enforce.test", "mx.enforce.test", "127.0.1.1")
	w.publish("enforce.test", enforce("enforce.test"))
	w.zone.Misbehave("_mta-sts.enforce.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	mx := startSink(t, w.ca, "127.0.1.1:25", "mx.enforce.test", selfSigned)

	rcpt := "postmaster@enforce.test"
	check(t, untrusted, p.outcome(t, p.send(t, rcpt)), mx, rcpt)
	if w.zone.Queries("_mta-sts.enforce.test", dns.TypeTXT) == 0 {
		t.Error("nobody asked for the record")
	}
}
