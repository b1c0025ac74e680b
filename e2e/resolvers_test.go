package e2e

import (
	"fmt"
	"net/netip"
	"testing"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

// containerAddr is where container engines have a resolver that is not this
// host's.
var containerAddr = netip.MustParseAddrPort("127.0.0.11:53")

// TestForeignAD has two resolvers: one on this host that validates, and one that
// looks like a container engine's and does not. The answers of the latter do not
// count for DANE, whichever is asked first.
func TestForeignAD(t *testing.T) {
	w := newSignedWorld(t)
	d := w.addDomain("both.example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
	w.open(t)
	startUnboundAt(t, bookworm, containerAddr, fmt.Sprintf("\nstub-zone:\n\tname: \".\"\n\tstub-addr: %v\n", signerAddr.Addr())).stopLater(t)
	domain, err := mtasts.ParseDomain(d.name)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		title   string
		servers []netip.AddrPort
		trustAD bool
		want    dane.Kind // 0: it cannot be known
	}{
		{"this host's first", []netip.AddrPort{resolverAddr, containerAddr}, false, dane.Full},
		{"the other first", []netip.AddrPort{containerAddr, resolverAddr}, false, 0},
		{"the other alone", []netip.AddrPort{containerAddr}, false, 0},
		{"the other alone, trusted", []netip.AddrPort{containerAddr}, true, dane.None},
	} {
		client := dnsclient.New(dnsclient.Options{Servers: tt.servers, TrustAD: tt.trustAD})
		got, err := dane.New(client).Check(t.Context(), domain, true, 25)
		if (err != nil) != (tt.want == 0) || got.Kind != tt.want {
			t.Errorf("%s: %v, error %v; want %v", tt.title, got.Kind, err, tt.want)
		}
	}
}

// TestLinkLocalResolver has fe80::1 in resolv.conf, on a link where another host,
// for example a router, has that address, while this host has it on another link.
func TestLinkLocalResolver(t *testing.T) {
	w := newSignedWorld(t)
	w.open(t)
	r := newRoot(t, bookworm)
	cable := layCable(t, r)
	cable.do(t, func() { cable.ip(t, "addr", "add", "fe80::1/64", "dev", "there", "nodad") })
	cable.ip(t, "link", "add", "docker0", "type", "veth", "peer", "name", "container0")
	t.Cleanup(func() { cable.ip(t, "link", "del", "docker0") })
	cable.ip(t, "addr", "add", "fe80::1/64", "dev", "docker0", "nodad")
	cable.ip(t, "link", "set", "docker0", "up")
	for zone, says := range map[string]string{"here": saysDANENotTrusted, "docker0": saysDANEOn} {
		r := newRoot(t, bookworm)
		r.write(t, "etc/postfix/main.cf", settingsFile("=", withDNSSEC, "compatibility_level = 3.6"))
		r.write(t, "etc/resolv.conf", "nameserver fe80::1%"+zone+"\n")
		daemon := startDaemonIn(t, w.world, r, daneAuto)
		daemon.awaitSaid(t, says, 1)
		daemon.stop(t)
	}
}

// TestUnansweredAAAA has a name server that never answers questions for AAAA
// records. The first lookup finds the policy nevertheless.
func TestUnansweredAAAA(t *testing.T) {
	w := newWorld(t)
	const domain = "legacy.test"
	w.publish(domain, enforce(domain))
	w.zone.Misbehave("mta-sts."+domain, func(x *resolvertest.DNSExchange) {
		if x.Query.Question[0].Qtype != dns.TypeAAAA {
			x.Send()
		}
	})
	startDaemon(t, w, fmt.Sprintf("dns: {servers: [%q], dane: off, timeout: 1m}", resolverAddr), "answer_timeout: 20s").stopLater(t)
	checkAnswer(t, domain, answerSecure)
	if w.zone.Queries("mta-sts."+domain, dns.TypeAAAA) == 0 {
		t.Error("nobody asked for IPv6 addresses")
	}
}

// TestNamedResolver has dns.servers name a resolver that resolv.conf's finds.
func TestNamedResolver(t *testing.T) {
	w := newWorld(t)
	const domain = "named.test"
	w.publish(domain, enforce(domain))
	w.addHost("resolver.test", secondAddr.Addr().String())
	second := startUnboundAt(t, bookworm, secondAddr, "")
	daemon := startDaemon(t, w, "dns: {servers: [resolver.test], dane: off, timeout: 1s}")
	checkAnswer(t, domain, answerSecure)
	second.stop(t)
	checkAnswer(t, "other.test", notKnown)
	daemon.stop(t)
}
