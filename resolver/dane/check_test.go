package dane_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

// The data of TLSA records in zones: one that can be used, one that cannot (a
// PKIX-EE usage).
var (
	good = "TLSA 3 1 1 " + strings.Repeat("a5", 32)
	bad  = "TLSA 1 1 1 " + strings.Repeat("a5", 32)
)

// world is a signed DNS in which u.test and all below it are unsigned, names
// below down.test cannot be asked for, and mail to a few hosts is described:
//
//	good.test   has usable TLSA records     bad.test  has unusable ones
//	plain.test  has none                    gone.test has no address
func world(t *testing.T, lines ...string) *resolvertest.DNS {
	t.Helper()
	server := resolvertest.StartDNS(t)
	server.SetAuthenticated(true)
	server.Unsigned("u.test")
	server.SetNegativeTTL(900*time.Second, 900*time.Second)
	server.Add(
		"good.test. 900 IN A 192.0.2.1", "_25._tcp.good.test. 900 IN "+good,
		"good2.test. 900 IN AAAA 2001:db8::1", "_25._tcp.good2.test. 900 IN "+good,
		"bad.test. 900 IN A 192.0.2.1", "_25._tcp.bad.test. 900 IN "+bad,
		"plain.test. 900 IN A 192.0.2.1",
		"_25._tcp.gone.test. 900 IN "+good,
		"mx.u.test. 900 IN A 192.0.2.1", "_25._tcp.mx.u.test. 900 IN "+good,
		"hidden.test. 900 IN A 192.0.2.1", "_25._tcp.hidden.test. 900 IN "+good,
	)
	server.Misbehave("down.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	server.Misbehave("_25._tcp.hidden.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	server.Add(lines...)
	return server
}

// newChecker asks server; the time limit is for the sake of tests that hang.
func newChecker(servers ...*resolvertest.DNS) *dane.Checker {
	var addrs []netip.AddrPort
	for _, s := range servers {
		addrs = append(addrs, s.Addr())
	}
	return dane.New(dnsclient.New(dnsclient.Options{Servers: addrs, Timeout: 10 * time.Second}))
}

func domain(t *testing.T, name string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestMXHosts: the verdict by what stands at the MX hosts of a domain.
func TestMXHosts(t *testing.T) {
	t.Parallel()
	server := world(t)
	checker := newChecker(server)
	const ttl, short = 900 * time.Second, dane.MinTTL
	for i, tt := range []struct {
		hosts string
		kind  dane.Kind
		ttl   time.Duration
	}{
		{"good", dane.Full, ttl},
		{"good good2", dane.Full, ttl},
		{"good GOOD", dane.Full, ttl},
		{"good gone", dane.Full, ttl}, // no mail goes to a host without addresses
		{"good plain", dane.Partial, ttl},
		{"good bad", dane.Partial, ttl},
		{"good mx.u", dane.Partial, ttl},
		{"good down", dane.Partial, short},
		{"good hidden", dane.Partial, short},
		{"down", dane.Unknown, short},
		{"hidden", dane.Unknown, short},
		{"plain hidden", dane.Unknown, short},
		{"bad hidden", dane.Unknown, short},
		{"gone down", dane.Unknown, short},
		{"bad", dane.Unusable, ttl},
		{"bad plain", dane.Unusable, ttl},
		{"bad gone", dane.Unusable, ttl},
		{"plain", dane.None, ttl},
		{"gone", dane.None, ttl},
		{"mx.u", dane.None, ttl}, // its TLSA records are worth nothing
		{"plain mx.u gone", dane.None, ttl},
	} {
		name := fmt.Sprintf("d%d.test", i)
		for preference, host := range strings.Fields(tt.hosts) {
			server.Add(fmt.Sprintf("%s. 900 IN MX %d %s.test.", name, preference, host))
		}
		got, err := checker.Check(t.Context(), domain(t, name), true, 25)
		if got.Kind != tt.kind || got.TTL != tt.ttl || err != nil {
			t.Errorf("MX hosts %s: %v for %v, error %v, want %v for %v", tt.hosts, got.Kind, got.TTL, err, tt.kind, tt.ttl)
		}
		if (got.Failed != nil) != (tt.kind == dane.Unknown) || got.Failed != nil && !strings.HasSuffix(got.Failed.Error(), "SERVFAIL") {
			t.Errorf("MX hosts %s: %v, and the question that failed is %v", tt.hosts, got.Kind, got.Failed)
		}
	}
	if n := server.Queries("_25._tcp.mx.u.test", dns.TypeTLSA); n != 0 {
		t.Errorf("%d questions for TLSA records of a host whose addresses are not authenticated", n)
	}
	if n := server.Queries("_25._tcp.gone.test", dns.TypeTLSA); n != 0 {
		t.Errorf("%d questions for TLSA records of a host without addresses", n)
	}
}

// TestNextHop: which hosts take the mail, and at which port.
func TestNextHop(t *testing.T) {
	t.Parallel()
	server := world(t,
		"null.test. 900 IN MX 0 .", "null.test. 900 IN A 192.0.2.1", "_25._tcp.null.test. 900 IN "+good,
		"two.test. 900 IN MX 0 .", "two.test. 900 IN MX 1 good.test.",
		"port.test. 900 IN A 192.0.2.1", "_587._tcp.port.test. 900 IN "+good,
		"mail.test. 900 IN MX 10 port.test.",
		"alias.test. 900 IN CNAME domain.test.", "domain.test. 900 IN MX 10 good.test.",
		"unsigned.u.test. 900 IN MX 10 good.test.",
		"leaves.test. 900 IN CNAME unsigned.u.test.",
		"relay.test. 900 IN MX 10 plain.test.", "relay.test. 900 IN A 192.0.2.1", "_25._tcp.relay.test. 900 IN "+good,
	)
	checker := newChecker(server)
	for _, tt := range []struct {
		name string
		mx   bool
		port uint16
		want dane.Kind
	}{
		{"good.test", true, 25, dane.Full}, // no MX records: the name itself
		{"plain.test", true, 25, dane.None},
		{"none.test", true, 25, dane.None},
		{"hidden.test", true, 25, dane.Unknown},
		{"mx.u.test", true, 25, dane.None}, // nobody vouches for the absence
		{"null.test", true, 25, dane.None},
		{"null.test", false, 25, dane.Full},
		{"two.test", true, 25, dane.Full},
		{"mail.test", true, 587, dane.Full},
		{"mail.test", true, 25, dane.None},
		{"mail.test", true, 0, dane.None},
		{"port.test", false, 587, dane.Full},
		{"port.test", false, 58, dane.None},
		{"port.test", false, 0, dane.None},
		{"alias.test", true, 25, dane.Full},
		{"unsigned.u.test", true, 25, dane.None},
		{"leaves.test", true, 25, dane.None},
		{"relay.test", true, 25, dane.None},
		{"relay.test", false, 25, dane.Full},
		{"bad.test", false, 25, dane.Unusable},
		{"hidden.test", false, 25, dane.Unknown},
		{"mx.u.test", false, 25, dane.None},
		{"gone.test", false, 25, dane.None},
	} {
		got, err := checker.Check(t.Context(), domain(t, tt.name), tt.mx, tt.port)
		if err != nil || got.Kind != tt.want {
			t.Errorf("%s, mx %v, port %d: got %v, error %v; want %v", tt.name, tt.mx, tt.port, got.Kind, err, tt.want)
		}
	}
	if n := server.Queries("relay.test", dns.TypeMX); n != 1 {
		t.Errorf("%d questions for MX records with and without brackets", n)
	}
}

// TestUnsignedDomain: it costs one question.
func TestUnsignedDomain(t *testing.T) {
	t.Parallel()
	server := world(t, "d.u.test. 700 IN MX 10 good.test.")
	got, err := newChecker(server).Check(t.Context(), domain(t, "d.u.test"), true, 25)
	if want := (dane.Verdict{Kind: dane.None, TTL: 700 * time.Second}); err != nil || got != want {
		t.Errorf("got %v, error %v; want %v", got, err, want)
	}
	if n := server.Queries("d.u.test", dns.TypeMX); n != 1 {
		t.Errorf("%d questions for MX records", n)
	}
	if n := server.Queries("good.test", dns.TypeA); n != 0 {
		t.Errorf("%d questions for the MX host", n)
	}
}

// TestErrors: it cannot be known now.
func TestErrors(t *testing.T) {
	t.Parallel()
	server := world(t, "down.test. 900 IN A 192.0.2.1")
	checker := newChecker(server)
	for mx, want := range map[bool]string{true: "MX down.test: ", false: "A down.test: "} {
		got, err := checker.Check(t.Context(), domain(t, "down.test"), mx, 25)
		if err == nil || !strings.HasPrefix(err.Error(), want) || got != (dane.Verdict{}) {
			t.Errorf("mx %v: got %v, error %v; want %q", mx, got, err, want)
		}
	}
}

// TestUnvouched: a server whose AD bit does not count gives one of the answers,
// with or without AD. That says nothing of the domain, least of all that it has
// no DANE.
func TestUnvouched(t *testing.T) {
	t.Parallel()
	lines := []string{
		"d.test. 900 IN MX 10 good.test.",
		"two.test. 900 IN MX 10 good.test.", "two.test. 900 IN MX 20 good2.test.",
		"alias.test. 900 IN MX 10 mx.test.",
		"mx.test. 900 IN CNAME mx.u.test.",
		"_25._tcp.mx.test. 900 IN " + good,
	}
	own := world(t, lines...)
	foreign := resolvertest.StartDNSAt(t, "127.0.0.11:0") // a container engine's
	foreign.Add(append(lines, "good.test. 900 IN A 192.0.2.1", "_25._tcp.good.test. 900 IN "+good)...)
	for _, tt := range []struct {
		asked string // of foreign
		qtype uint16
		from  string
		mx    bool
	}{
		{"d.test", dns.TypeMX, "d.test", true},
		{"good.test", dns.TypeA, "d.test", true},
		{"good.test", dns.TypeA, "two.test", true}, // the other host's records are usable
		{"good.test", dns.TypeA, "good.test", false},
		{"_25._tcp.good.test", dns.TypeTLSA, "d.test", true},
		{"_25._tcp.good.test", dns.TypeTLSA, "good.test", false},
		{"mx.test", dns.TypeCNAME, "alias.test", true},
	} {
		for _, ad := range []bool{false, true} {
			foreign.SetAuthenticated(ad)
			own.Misbehave(tt.asked, func(x *resolvertest.DNSExchange) {
				if x.Query.Question[0].Qtype == tt.qtype {
					x.Reply.Rcode, x.Reply.Answer = dns.RcodeRefused, nil
				}
				x.Send()
			})
			got, err := newChecker(own, foreign).Check(t.Context(), domain(t, tt.from), tt.mx, 25)
			if err == nil || got != (dane.Verdict{}) {
				t.Errorf("%s from elsewhere, AD %v: %s is %v, error %v", tt.asked, ad, tt.from, got.Kind, err)
			}
			if foreign.Queries(tt.asked, tt.qtype) == 0 {
				t.Errorf("%s was not asked of the other server", tt.asked)
			}
			own.Misbehave(tt.asked, nil)
		}
	}
	for _, name := range []string{"d.test", "alias.test"} {
		if got, err := newChecker(own, foreign).Check(t.Context(), domain(t, name), true, 25); err != nil || got.Kind != dane.Full {
			t.Errorf("%s: %v, error %v", name, got.Kind, err)
		}
	}
}

// TestSpecialUse: a name that the DNS never has is asked for nowhere, also as the
// MX host of another.
func TestSpecialUse(t *testing.T) {
	t.Parallel()
	server := world(t, "d.test. 900 IN MX 10 a.onion.", "d.test. 900 IN MX 20 good.test.")
	server.Misbehave("a.onion", resolvertest.DNSRcode(dns.RcodeRefused))
	for _, tt := range []struct {
		name string
		mx   bool
		want dane.Kind
	}{
		{"a.onion", true, dane.None},
		{"a.onion", false, dane.None},
		{"d.test", true, dane.Full},
	} {
		if got, err := newChecker(server).Check(t.Context(), domain(t, tt.name), tt.mx, 25); err != nil || got.Kind != tt.want {
			t.Errorf("%s, MX %v: got %v, error %v; want %v", tt.name, tt.mx, got.Kind, err, tt.want)
		}
	}
	for _, qtype := range []uint16{dns.TypeMX, dns.TypeA, dns.TypeAAAA} {
		if n := server.Queries("a.onion", qtype); n != 0 {
			t.Errorf("%d questions of type %s", n, dns.TypeToString[qtype])
		}
	}
}
