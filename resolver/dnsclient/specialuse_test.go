package dnsclient_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

func TestSpecialUse(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"a.onion", "_mta-sts.a.onion", "onion", "a.onion.", "x.alt", "x.invalid", "localhost", "x.localhost"} {
		if !dnsclient.SpecialUse(name) {
			t.Errorf("%s: would be asked of the DNS", name)
		}
	}
	// Names that only look like it, and those of private networks (RFC 6761
	// section 6.2, RFC 6762, RFC 9476 section 3).
	for _, name := range []string{"a.test", "onion.example", "xonion", "a.local", "a.lan", "a.internal", "a.example", "a.home.arpa", "."} {
		if dnsclient.SpecialUse(name) {
			t.Errorf("%s: would not be asked of the DNS", name)
		}
	}
}

// TestSpecialUseNotAsked: the DNS is asked neither for such a name nor for one
// that is the target of a CNAME record.
func TestSpecialUseNotAsked(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetAuthenticated(true)
	server.Misbehave("alias.test", resolvertest.DNSAliasOnly)
	server.Add("alias.test. 300 IN CNAME a.onion.", `a.onion. 300 IN TXT "x"`, "a.onion. 300 IN MX 10 a.onion.", "a.onion. 300 IN A 192.0.2.1")
	client := newClient(server)
	txt, err := client.TXT(t.Context(), "A.onion")
	if diff := cmp.Diff(dnsclient.Answer[string]{TTL: 24 * time.Hour, HasTTL: true}, txt); err != nil || diff != "" {
		t.Errorf("TXT: error %v, (-want +got)\n%s", err, diff)
	}
	txt, err = client.TXT(t.Context(), "alias.test")
	if diff := cmp.Diff(dnsclient.Answer[string]{TTL: 300 * time.Second, HasTTL: true, Alias: "a.onion"}, txt); err != nil || diff != "" {
		t.Errorf("TXT of an alias: error %v, (-want +got)\n%s", err, diff)
	}
	if mx, err := client.MX(t.Context(), "a.onion"); err != nil || len(mx.Records) != 0 {
		t.Errorf("MX: got %v, error %v", mx, err)
	}
	if host, err := client.Host(t.Context(), "a.onion"); err != nil || len(host.Records) != 0 {
		t.Errorf("host: got %v, error %v", host, err)
	}
	if addrs, err := client.Addresses(t.Context(), "a.onion"); err != nil || len(addrs.Records) != 0 {
		t.Errorf("addresses: got %v, error %v", addrs, err)
	}
	for _, qtype := range []uint16{dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeCNAME} {
		if n := server.Queries("a.onion", qtype); n != 0 {
			t.Errorf("%d questions of type %s", n, dns.TypeToString[qtype])
		}
	}
}
