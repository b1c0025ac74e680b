package e2e

import (
	"fmt"
	"testing"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// nextHopRoutes have another next hop than the recipient's one MX host, or none
// that is known to have a policy.
func nextHopRoutes() []route {
	return []route{
		smartHostRoute("smart host", "relayed.test", goodCertificate, verified),
		smartHostRoute("smart host, wrong name", "wrongly-relayed.test", wrongName, mismatch),
		secondMX("two.test"),
		recordUnknown("unanswered.test"),
	}
}

// A next hop in brackets is its own policy domain (RFC 8461 section 3.4): the
// smart host's policy counts, and not that of the recipient's domain.

func smartHostRoute(name, domain string, cert certificate, want expectation) route {
	return route{
		name:   name,
		domain: domain,
		want:   underPolicy(want),
		open: func(t *testing.T, w *world, address string) *sink {
			return w.smartHost(t, "relay."+domain, address, cert)
		},
	}
}

// transports are the entries of Postfix's transport_maps that lead to the smart
// hosts.
func transports() (entries []string) {
	for _, domain := range []string{"relayed.test", "wrongly-relayed.test"} {
		entries = append(entries, fmt.Sprintf("%s=smtp:[relay.%s]:587", domain, domain))
	}
	return entries
}

func throughRelayHost(t *testing.T, m *matrix) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	f := startFleet(t, w, []answers{plain}, "relayhost = [relay.test]:587")
	mx := w.smartHost(t, "relay.test", "127.0.1.1", goodCertificate)
	// A policy of the recipient's domain that the smart host does not meet.
	w.publish("elsewhere.test", enforce("elsewhere.test"))

	f.deliver(t, m.row("relayhost"), "postmaster@elsewhere.test", mx, always(verified))
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

// secondMX gives a domain two MX hosts, of which the preferred one does not
// meet the policy: Postfix goes on to the other.
func secondMX(domain string) route {
	var first *sink
	return route{
		name:   "enforce, first MX host has wrong name",
		domain: domain,
		want:   underPolicy(verified),
		open: func(t *testing.T, w *world, address string) *sink {
			w.publish(domain, wildcard(domain))
			w.zone.Add(domain+". 300 IN MX 10 mx1."+domain+".", domain+". 300 IN MX 20 mx2."+domain+".")
			w.addHost("mx1."+domain, "127.0.2.1")
			w.addHost("mx2."+domain, address)
			first = startSink(t, w.ca, "127.0.2.1:25", "mx1."+domain, wrongName)
			return startSink(t, w.ca, address+":25", "mx2."+domain, goodCertificate)
		},
		after: func(t *testing.T, w *world) {
			if got := first.Received(); len(got) > 0 {
				t.Errorf("%s has taken %+v", first.host, got)
			}
			if got := w.hosts.Requests(domain); got != 1 {
				t.Errorf("the policy host was asked %d times, want once", got)
			}
		},
	}
}

// recordUnknown has the lookup of the record fail, as a domain's broken name
// servers make it. Nothing is known then, and mail goes out as it would have
// without MTA-STS (RFC 8461 section 5.1).
func recordUnknown(domain string) route {
	return route{
		name:   "lookup of the record fails, self-signed",
		domain: domain,
		want:   always(untrusted),
		open: func(t *testing.T, w *world, address string) *sink {
			w.addMX(domain, "mx."+domain, address)
			w.publish(domain, enforce(domain))
			w.zone.Misbehave("_mta-sts."+domain, resolvertest.DNSRcode(dns.RcodeServerFailure))
			return startSink(t, w.ca, address+":25", "mx."+domain, selfSigned)
		},
		after: func(t *testing.T, w *world) {
			if w.zone.Queries("_mta-sts."+domain, dns.TypeTXT) == 0 {
				t.Error("nobody asked for the record")
			}
		},
	}
}
