package dnsclient_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

func TestTLSA(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetAuthenticated(true)
	server.Add(
		`_25._tcp.mx.test. 300 IN TLSA 3 1 1 `+strings.Repeat("0aF5", 16),
		`_25._tcp.mx.test. 200 IN TLSA 255 254 253 00`,
		`_25._tcp.alias.test. 100 IN CNAME _25._tcp.mx.test.`,
		`mx.test. 300 IN A 192.0.2.1`,
	)
	records := []dnsclient.TLSA{
		{Usage: 3, Selector: 1, MatchingType: 1, Data: bytes.Repeat([]byte{0x0a, 0xf5}, 16)},
		{Usage: 255, Selector: 254, MatchingType: 253, Data: []byte{0}},
	}
	client := newClient(server)
	for name, want := range map[string]dnsclient.Answer[dnsclient.TLSA]{
		"_25._tcp.mx.test":    {Records: records, TTL: 200 * time.Second, HasTTL: true, Authenticated: true},
		"_25._tcp.alias.test": {Records: records, TTL: 100 * time.Second, HasTTL: true, Authenticated: true, Alias: "_25._tcp.mx.test"},
		"mx.test":             {TTL: 300 * time.Second, HasTTL: true, Authenticated: true},
		"_26._tcp.mx.test":    {TTL: 300 * time.Second, HasTTL: true, Authenticated: true, NoName: true},
	} {
		got, err := client.TLSA(t.Context(), name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
		}
	}
}

// TestTLSAShort: a record too short for its fields still counts as a record that
// is not usable; it must not look like an absence.
func TestTLSAShort(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.AddRecord(&dns.RFC3597{
		Hdr:   dns.RR_Header{Name: "_25._tcp.mx.test.", Rrtype: dns.TypeTLSA, Class: dns.ClassINET, Ttl: 300},
		Rdata: "0301",
	})
	got, err := newClient(server).TLSA(t.Context(), "_25._tcp.mx.test")
	want := []dnsclient.TLSA{{Usage: 3, Selector: 1}}
	if diff := cmp.Diff(want, got.Records, cmpopts.EquateEmpty()); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got)\n%s", err, diff)
	}
}

func TestCNAME(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetAuthenticated(true)
	server.Unsigned("unsigned.test")
	server.Add(
		`alias.test. 300 IN CNAME MX.unsigned.test.`,
		`mx.unsigned.test. 300 IN CNAME end.test.`,
		`end.test. 300 IN A 192.0.2.1`,
	)
	client := newClient(server)
	for name, want := range map[string]dnsclient.Answer[string]{
		"alias.test":       {Records: []string{"mx.unsigned.test"}, TTL: 300 * time.Second, HasTTL: true, Authenticated: true},
		"mx.unsigned.test": {Records: []string{"end.test"}, TTL: 300 * time.Second, HasTTL: true},
		"end.test":         {TTL: 300 * time.Second, HasTTL: true, Authenticated: true},
	} {
		got, err := client.CNAME(t.Context(), name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
		}
	}
}

func TestHost(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetAuthenticated(true)
	server.Unsigned("unsigned.test")
	server.Add(
		`both.test. 300 IN A 192.0.2.1`,
		`both.test. 200 IN AAAA 2001:db8::1`,
		`four.test. 300 IN A 192.0.2.1`,
		`six.test. 300 IN AAAA 2001:db8::1`,
		`text.test. 300 IN TXT "no address"`,
		`alias.test. 100 IN CNAME Both.test.`,
		`astray.test. 300 IN CNAME mx.unsigned.test.`,
		`mx.unsigned.test. 300 IN A 192.0.2.1`,
		`back.unsigned.test. 300 IN CNAME four.test.`,
	)
	// Next to an address, an absence that is not authenticated, or a failure.
	server.Misbehave("half.test", func(x *resolvertest.DNSExchange) {
		if x.Query.Question[0].Qtype == dns.TypeA {
			x.Reply.AuthenticatedData = false
		}
		x.Send()
	})
	server.Add(`half.test. 300 IN AAAA 2001:db8::1`)
	server.Add(`failing.test. 300 IN CNAME six.test.`)
	server.Misbehave("failing.test", func(x *resolvertest.DNSExchange) {
		if x.Query.Question[0].Qtype == dns.TypeA {
			x.Reply.Rcode = dns.RcodeServerFailure
		}
		x.Send()
	})
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	host := func(canonical string, ttl time.Duration, ad bool, addrs ...netip.Addr) dnsclient.Host {
		return dnsclient.Host{
			Answer:    dnsclient.Answer[netip.Addr]{Records: addrs, TTL: ttl, HasTTL: true, Authenticated: ad},
			Canonical: canonical,
		}
	}
	const minute5 = 300 * time.Second
	client := newClient(server)
	for name, want := range map[string]dnsclient.Host{
		"both.test":          host("both.test", minute5, true, v4),
		"Four.test.":         host("four.test", minute5, true, v4),
		"six.test":           host("six.test", minute5, true, v6),
		"text.test":          host("text.test", minute5, true),
		"none.test":          host("none.test", minute5, true),
		"alias.test":         host("both.test", 100*time.Second, true, v4),
		"astray.test":        host("mx.unsigned.test", minute5, false, v4),
		"back.unsigned.test": host("four.test", minute5, false, v4),
		"none.unsigned.test": host("none.unsigned.test", minute5, false),
		"half.test":          host("half.test", minute5, true, v6),
		"failing.test":       host("six.test", minute5, true, v6),
	} {
		if want.Canonical != strings.ToLower(strings.TrimSuffix(name, ".")) {
			want.Alias = want.Canonical
		}
		got, err := client.Host(t.Context(), name)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
		}
	}
	if n := server.Queries("both.test", dns.TypeAAAA); n != 0 {
		t.Errorf("%d questions for IPv6 addresses beside IPv4 ones", n)
	}
	server.Misbehave("down.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	if got, err := client.Host(t.Context(), "down.test"); err == nil || got.Canonical != "" {
		t.Errorf("down.test: got %v, error %v", got, err)
	}
}

func TestValidates(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	client := newClient(server)
	for _, want := range []bool{false, true} {
		server.SetAuthenticated(want)
		if got, err := client.Validates(t.Context()); err != nil || got != want {
			t.Errorf("got %v, error %v; want %v", got, err, want)
		}
	}
	if n := server.Queries(".", dns.TypeSOA); n != 2 {
		t.Errorf("%d questions for two probes", n)
	}
	server.Misbehave(".", resolvertest.DNSRcode(dns.RcodeServerFailure))
	if got, err := client.Validates(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "SOA .: ") {
		t.Errorf("got %v, error %v", got, err)
	}
	server.Misbehave(".", resolvertest.DNSRcode(dns.RcodeRefused))
	if got, err := client.Validates(t.Context()); err != nil || !got {
		t.Errorf("the root is refused: got %v, error %v", got, err)
	}
	server.Misbehave(resolvertest.EveryName, resolvertest.DNSRcode(dns.RcodeRefused))
	if got, err := client.Validates(t.Context()); err == nil {
		t.Errorf("all is refused: got %v", got)
	}
}

// TestDO: the questions that DANE needs carry DO, others do not; all carry AD
// and none CD.
func TestDO(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	var mu sync.Mutex
	got := make(map[string]bool) // by type
	server.Misbehave(resolvertest.EveryName, func(x *resolvertest.DNSExchange) {
		mu.Lock()
		defer mu.Unlock()
		if !x.Query.AuthenticatedData || x.Query.CheckingDisabled {
			t.Errorf("header %+v", x.Query.MsgHdr)
		}
		got[dns.TypeToString[x.Query.Question[0].Qtype]] = x.Query.IsEdns0().Do()
		x.Send()
	})
	client := newClient(server)
	var errs [6]error
	_, errs[0] = client.TXT(t.Context(), "x.test")
	_, errs[1] = client.MX(t.Context(), "x.test")
	_, errs[2] = client.Host(t.Context(), "x.test")
	_, errs[3] = client.CNAME(t.Context(), "x.test")
	_, errs[4] = client.TLSA(t.Context(), "x.test")
	_, errs[5] = client.Validates(t.Context())
	if errs != [6]error{} {
		t.Error(errs)
	}
	mu.Lock()
	defer mu.Unlock()
	want := map[string]bool{"TXT": false, "MX": true, "A": true, "AAAA": true, "CNAME": true, "TLSA": true, "SOA": true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func TestTLSAMatches(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	cert := ca.Certificate(resolvertest.Leaf{Names: []string{"mx.test"}}).Leaf
	other := resolvertest.NewCA(t).Certificate(resolvertest.Leaf{Names: []string{"mx.test"}}).Leaf
	whole, key := sha256.Sum256(cert.Raw), sha512.Sum512(cert.RawSubjectPublicKeyInfo)
	for _, r := range []dnsclient.TLSA{
		{Usage: 3, Selector: 0, MatchingType: 0, Data: cert.Raw},
		{Usage: 3, Selector: 1, MatchingType: 0, Data: cert.RawSubjectPublicKeyInfo},
		{Usage: 3, Selector: 0, MatchingType: 1, Data: whole[:]},
		{Usage: 2, Selector: 1, MatchingType: 2, Data: key[:]},
	} {
		if !r.Matches(cert) || r.Matches(other) {
			t.Errorf("%v matches its certificate: %v, another: %v", r, r.Matches(cert), r.Matches(other))
		}
	}
	for _, r := range []dnsclient.TLSA{
		{},
		{Usage: 3, Selector: 1, MatchingType: 1, Data: whole[:]},
		{Usage: 3, Selector: 0, MatchingType: 1, Data: whole[:31]},
		{Usage: 3, Selector: 2, MatchingType: 1, Data: whole[:]},
		{Usage: 3, Selector: 0, MatchingType: 3, Data: whole[:]},
	} {
		if r.Matches(cert) {
			t.Errorf("%v matches", r)
		}
	}
	if got := (dnsclient.TLSA{Usage: 3, Selector: 1, MatchingType: 1, Data: []byte{0xa, 0xf5}}).String(); got != "3 1 1 0af5" {
		t.Error(got)
	}
}
