package e2e

import "testing"

// A next hop in brackets is its own policy domain (RFC 8461 section 3.4): the
// smart host's policy counts, and not that of the recipient's domain.

func TestTransportMap(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm,
		"transport_maps = inline:{ good.test=smtp:[relay.good.test]:587, wrong.test=smtp:[relay.wrong.test]:587 }")

	for _, test := range []struct {
		domain, address string
		certificate     certificate
		want            expectation
	}{
		{"good.test", "127.0.1.1", goodCertificate, verified},
		{"wrong.test", "127.0.1.2", wrongName, mismatch},
	} {
		t.Run(test.domain, func(t *testing.T) {
			t.Parallel()
			mx := w.smartHost(t, "relay."+test.domain, test.address, test.certificate)
			rcpt := "postmaster@" + test.domain
			check(t, test.want, p.outcome(t, p.send(t, rcpt)), mx, rcpt)
		})
	}
}

func TestRelayHost(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm, "relayhost = [relay.test]:587")
	mx := w.smartHost(t, "relay.test", "127.0.1.1", goodCertificate)
	// A policy of the recipient's domain that the smart host does not meet.
	w.publish("elsewhere.test", enforce("elsewhere.test"))

	rcpt := "postmaster@elsewhere.test"
	check(t, verified, p.outcome(t, p.send(t, rcpt)), mx, rcpt)
	if got := w.hosts.Requests("elsewhere.test"); got != 0 {
		t.Errorf("the recipient's policy host was asked %d times", got)
	}
}

// smartHost makes host, at address and the submission port, publish a policy
// that names itself.
func (w *world) smartHost(t *testing.T, host, address string, cert certificate) *sink {
	t.Helper()
	w.addHost(host, address)
	w.publish(host, enforceHost(host))
	return startSink(t, w.ca, address+":587", host, cert)
}

// TestSecondMX gives a domain two MX hosts, of which the preferred one does
// not meet the policy: Postfix goes on to the other.
func TestSecondMX(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm)
	w.publish("two.test", wildcard("two.test"))
	w.zone.Add("two.test. 300 IN MX 10 mx1.two.test.", "two.test. 300 IN MX 20 mx2.two.test.")
	w.addHost("mx1.two.test", "127.0.1.1")
	w.addHost("mx2.two.test", "127.0.1.2")
	first := startSink(t, w.ca, "127.0.1.1:25", "mx1.two.test", wrongName)
	second := startSink(t, w.ca, "127.0.1.2:25", "mx2.two.test", goodCertificate)

	rcpt := "postmaster@two.test"
	check(t, verified, p.outcome(t, p.send(t, rcpt)), second, rcpt)
	if got := first.received(); len(got) > 0 {
		t.Errorf("%s has taken %+v", first.host, got)
	}
	if got := w.hosts.Requests("two.test"); got != 1 {
		t.Errorf("the policy host was asked %d times, want once", got)
	}
}
