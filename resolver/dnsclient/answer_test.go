package dnsclient_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

// newClient returns a client of these servers. Its time limit is one that no
// well server comes near.
func newClient(servers ...*resolvertest.DNS) *dnsclient.Client {
	var addrs []netip.AddrPort
	for _, s := range servers {
		addrs = append(addrs, s.Addr())
	}
	return dnsclient.New(dnsclient.Options{Servers: addrs, Timeout: 10 * time.Second})
}

func TestTXT(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(
		`one.test. 300 IN TXT "v=STSv1; id=1;"`,
		`strings.test. 300 IN TXT "v=STS" "v1; " "id=1;"`,
		`several.test. 300 IN TXT "first"`,
		`several.test. 200 IN TXT "second"`,
		`several.test. 300 IN A 192.0.2.1`,
		`escapes.test. 300 IN TXT "\000\009\031 \"\\\127\128\255;~\\065"`,
		`empty.test. 300 IN TXT ""`,
		`UPPER.test. 300 IN TXT "upper"`,
		`zero.test. 0 IN TXT "zero"`,
		`huge-ttl.test. 2147483648 IN TXT "RFC 2181 section 8"`,
	)
	client := newClient(server)
	for _, tt := range []struct {
		name string
		want []string
		ttl  time.Duration
	}{
		{"one.test", []string{"v=STSv1; id=1;"}, 300 * time.Second},
		{"one.test.", []string{"v=STSv1; id=1;"}, 300 * time.Second},
		{"oNe.TEST", []string{"v=STSv1; id=1;"}, 300 * time.Second},
		{"strings.test", []string{"v=STSv1; id=1;"}, 300 * time.Second},
		{"several.test", []string{"first", "second"}, 200 * time.Second},
		{"escapes.test", []string{"\x00\t\x1f \"\\\x7f\x80\xff;~\\065"}, 300 * time.Second},
		{"empty.test", []string{""}, 300 * time.Second},
		{"upper.test", []string{"upper"}, 300 * time.Second},
		{"zero.test", []string{"zero"}, 0},
		{"huge-ttl.test", []string{"RFC 2181 section 8"}, 0},
	} {
		got, err := client.TXT(t.Context(), tt.name)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		want := dnsclient.Answer[string]{Records: tt.want, TTL: tt.ttl, HasTTL: true}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: (-want +got)\n%s", tt.name, diff)
		}
	}
}

func TestMX(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(
		`several.test. 300 IN MX 20 Backup.Example.NET.`,
		`several.test. 300 IN MX 5 mx.example.`,
		`several.test. 300 IN MX 10 mx2.example.`,
		`null.test. 300 IN MX 0 .`,
		`strange.test. 300 IN MX 0 a\.b\000.example.`,
	)
	client := newClient(server)
	for name, want := range map[string][]dnsclient.MX{
		"several.test": {{"mx.example", 5}, {"mx2.example", 10}, {"backup.example.net", 20}},
		"null.test":    {{"", 0}},
		"strange.test": {{`a\.b\000.example`, 0}},
		"none.test":    nil,
	} {
		got, err := client.MX(t.Context(), name)
		if diff := cmp.Diff(want, got.Records); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
		}
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetNegativeTTL(60*time.Second, 60*time.Second)
	server.Add(
		`both.test. 300 IN A 192.0.2.1`,
		`both.test. 300 IN A 192.0.2.2`,
		`both.test. 200 IN AAAA 2001:db8::1`,
		`four.test. 300 IN A 192.0.2.1`,
		`six.test. 300 IN AAAA 2001:db8::1`,
		`text.test. 300 IN TXT "no address"`,
	)
	type answer = dnsclient.Answer[netip.Addr]
	addrs := func(texts ...string) (as []netip.Addr) {
		for _, s := range texts {
			as = append(as, netip.MustParseAddr(s))
		}
		return as
	}
	client := newClient(server)
	for name, want := range map[string]answer{
		"both.test": {Records: addrs("192.0.2.1", "192.0.2.2", "2001:db8::1"), TTL: 200 * time.Second, HasTTL: true},
		"four.test": {Records: addrs("192.0.2.1"), TTL: 300 * time.Second, HasTTL: true},
		"six.test":  {Records: addrs("2001:db8::1"), TTL: 300 * time.Second, HasTTL: true},
		"text.test": {TTL: 60 * time.Second, HasTTL: true},
		"none.test": {TTL: 60 * time.Second, HasTTL: true},
	} {
		got, err := client.Addresses(t.Context(), name)
		if diff := cmp.Diff(want, got, cmpopts.EquateComparable(netip.Addr{})); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
		}
	}
}

// TestAddressesHalf: one of the two questions cannot be answered.
func TestAddressesHalf(t *testing.T) {
	t.Parallel()
	failing := func(qtypes ...uint16) resolvertest.DNSFault {
		return func(x *resolvertest.DNSExchange) {
			for _, qtype := range qtypes {
				if x.Query.Question[0].Qtype == qtype {
					x.Reply.Rcode = dns.RcodeServerFailure
				}
			}
			x.Send()
		}
	}
	silent := func(qtype uint16) resolvertest.DNSFault {
		return func(x *resolvertest.DNSExchange) {
			if x.Query.Question[0].Qtype != qtype {
				x.Send()
			}
		}
	}
	for _, tt := range []struct {
		title   string
		fault   resolvertest.DNSFault
		records []string
		want    string // an address, or part of an error
	}{
		{"A fails", failing(dns.TypeA), []string{"x.test. 1 IN AAAA 2001:db8::1"}, "2001:db8::1"},
		{"AAAA fails", failing(dns.TypeAAAA), []string{"x.test. 1 IN A 192.0.2.1"}, "192.0.2.1"},
		{"A fails, no AAAA", failing(dns.TypeA), nil, "A x.test: "},
		{"AAAA fails, no A", failing(dns.TypeAAAA), nil, "AAAA x.test: "},
		{"both fail", failing(dns.TypeA, dns.TypeAAAA), nil, "A x.test: "},
		{"A is silent", silent(dns.TypeA), []string{"x.test. 1 IN AAAA 2001:db8::1"}, "2001:db8::1"},
		{"AAAA is silent", silent(dns.TypeAAAA), []string{"x.test. 1 IN A 192.0.2.1"}, "192.0.2.1"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Add(tt.records...)
			server.Misbehave("x.test", tt.fault)
			// No answer waits for the time limit.
			client := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{server.Addr()}, Timeout: time.Hour})
			got, err := client.Addresses(t.Context(), "x.test")
			if len(tt.records) > 0 {
				if err != nil || len(got.Records) != 1 || got.Records[0].String() != tt.want {
					t.Errorf("got %v, error %v; want %s", got.Records, err, tt.want)
				}
				return
			}
			var failure *dnsclient.Error
			if !errors.As(err, &failure) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, error %v; want an *Error beginning %q", got.Records, err, tt.want)
			}
		})
	}
}

func TestAuthenticated(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(
		`x.test. 300 IN TXT "x"`,
		`x.test. 300 IN A 192.0.2.1`,
		`alias.test. 300 IN CNAME x.test.`,
	)
	// The first name of this chain alone is authenticated.
	server.Misbehave("alias.test", func(x *resolvertest.DNSExchange) {
		x.Reply.AuthenticatedData = true
		resolvertest.DNSAliasOnly(x)
	})
	// Of this one, all but the first.
	server.Add(`doubtful.test. 300 IN CNAME x.test.`)
	server.Misbehave("doubtful.test", func(x *resolvertest.DNSExchange) {
		x.Reply.AuthenticatedData = false
		resolvertest.DNSAliasOnly(x)
	})
	client := newClient(server)
	for _, ad := range []bool{false, true} {
		server.SetAuthenticated(ad)
		for _, name := range []string{"x.test", "none.test", "alias.test"} {
			txt, err := client.TXT(t.Context(), name)
			if err != nil || txt.Authenticated != ad {
				t.Errorf("TXT %s: authenticated %v, error %v; want %v", name, txt.Authenticated, err, ad)
			}
			addrs, err := client.Addresses(t.Context(), name)
			if err != nil || addrs.Authenticated != ad {
				t.Errorf("addresses of %s: authenticated %v, error %v; want %v", name, addrs.Authenticated, err, ad)
			}
		}
		if txt, err := client.TXT(t.Context(), "doubtful.test"); err != nil || txt.Authenticated {
			t.Errorf("TXT doubtful.test: authenticated %v, error %v", txt.Authenticated, err)
		}
	}
}

// TestUnvouched: whether an answer is authenticated depends on the server that
// gave it. Of an answer made of several replies it is known to be not
// authenticated if one server whose AD bit counts says so.
func TestUnvouched(t *testing.T) {
	t.Parallel()
	own, foreign := resolvertest.StartDNS(t), resolvertest.StartDNSAt(t, "127.0.0.11:0") // a container engine's
	servers := []netip.AddrPort{own.Addr(), foreign.Addr()}
	for _, s := range []*resolvertest.DNS{own, foreign} {
		s.Add(`x.test. 300 IN TXT "x"`, `x.test. 300 IN A 192.0.2.1`, `alias.test. 300 IN CNAME x.test.`)
	}
	// own gives the chain's first link, foreign the rest.
	own.Misbehave("alias.test", resolvertest.DNSAliasOnly)
	type trust struct{ authenticated, unvouched bool }
	for _, tt := range []struct {
		title       string
		ownAD       bool
		ownSilent   bool
		foreignAD   bool
		trustAD     bool
		x, alias    trust
		trustsAllAD bool
	}{
		{"own", true, false, true, false, trust{true, false}, trust{true, false}, false},
		{"own without AD", false, false, true, false, trust{}, trust{}, false},
		{"foreign", true, true, true, false, trust{false, true}, trust{false, true}, false},
		{"foreign without AD", true, true, false, false, trust{false, true}, trust{false, true}, false},
		{"link not authenticated, then foreign", false, true, true, false, trust{false, true}, trust{}, false},
		{"foreign, all trusted", true, true, true, true, trust{true, false}, trust{true, false}, true},
		{"foreign without AD, all trusted", true, true, false, true, trust{}, trust{}, true},
	} {
		own.SetAuthenticated(tt.ownAD)
		foreign.SetAuthenticated(tt.foreignAD)
		own.Misbehave("x.test", nil)
		if tt.ownSilent {
			own.Misbehave("x.test", resolvertest.DNSRcode(dns.RcodeRefused))
		}
		client := dnsclient.New(dnsclient.Options{Servers: servers, TrustAD: tt.trustAD})
		if got := client.TrustsAD(); got != tt.trustsAllAD {
			t.Errorf("%s: trusts AD: %v", tt.title, got)
		}
		for name, want := range map[string]trust{"alias.test": tt.alias, "x.test": tt.x} {
			client := dnsclient.New(dnsclient.Options{Servers: servers, TrustAD: tt.trustAD}) // prefers its first server
			txt, err := client.TXT(t.Context(), name)
			if got := (trust{txt.Authenticated, txt.Unvouched}); err != nil || got != want {
				t.Errorf("%s: TXT %s: %+v, error %v; want %+v", tt.title, name, got, err, want)
			}
			addrs, err := client.Addresses(t.Context(), name)
			if got := (trust{addrs.Authenticated, addrs.Unvouched}); err != nil || got.authenticated && !want.authenticated {
				t.Errorf("%s: addresses of %s: %+v, error %v", tt.title, name, got, err)
			}
		}
	}
}

func BenchmarkTXT(b *testing.B) {
	server := resolvertest.StartDNS(b)
	server.Add(`_mta-sts.bench.test. 300 IN TXT "v=STSv1; id=20260101;"`)
	client := newClient(server)
	ctx := context.Background()
	b.ReportAllocs()
	for b.Loop() {
		if a, err := client.TXT(ctx, "_mta-sts.bench.test"); err != nil || len(a.Records) != 1 {
			b.Fatal(a, err)
		}
	}
}
