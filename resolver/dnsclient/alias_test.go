package dnsclient_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

func TestAlias(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetNegativeTTL(600*time.Second, 500*time.Second)
	server.Add(
		`end.test. 300 IN TXT "end"`,
		`one.test. 200 IN CNAME END.test.`,
		`two.test. 100 IN CNAME one.test.`,
		`absent.test. 400 IN CNAME none.test.`,
		`brief.test. 40 IN CNAME none.test.`,
		`nodata.test. 400 IN CNAME address.test.`,
		`address.test. 300 IN A 192.0.2.1`,
	)
	end := []string{"end"}
	client := newClient(server)
	for name, want := range map[string]dnsclient.Answer[string]{
		"one.test":    {Records: end, TTL: 200 * time.Second, HasTTL: true, Alias: "end.test"},
		"two.test":    {Records: end, TTL: 100 * time.Second, HasTTL: true, Alias: "end.test"},
		"absent.test": {TTL: 400 * time.Second, HasTTL: true, Alias: "none.test", NoName: true},
		"brief.test":  {TTL: 40 * time.Second, HasTTL: true, Alias: "none.test", NoName: true},
		"nodata.test": {TTL: 400 * time.Second, HasTTL: true, Alias: "address.test"},
	} {
		// The same comes out whether the server follows the chain, or leaves
		// off after one record.
		for title, fault := range map[string]resolvertest.DNSFault{
			"whole": nil,
			"alias only": func(x *resolvertest.DNSExchange) {
				if len(x.Reply.Answer) > 0 && x.Reply.Answer[0].Header().Rrtype == dns.TypeCNAME {
					resolvertest.DNSAliasOnly(x)
					return
				}
				x.Send()
			},
		} {
			server.Misbehave(resolvertest.EveryName, fault)
			got, err := client.TXT(t.Context(), name)
			if diff := cmp.Diff(want, got); err != nil || diff != "" {
				t.Errorf("%s, %s: error %v, (-want +got)\n%s", name, title, err, diff)
			}
		}
	}
}

// TestAliasNXDomain: with NXDOMAIN the chain's end does not exist, even where
// the server leaves the SOA record out; it is not asked for again.
func TestAliasNXDomain(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(`alias.test. 300 IN CNAME none.test.`)
	server.Misbehave("alias.test", resolvertest.DNSWithoutSOA)
	got, err := newClient(server).TXT(t.Context(), "alias.test")
	if diff := cmp.Diff(dnsclient.Answer[string]{Alias: "none.test", NoName: true}, got); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got)\n%s", err, diff)
	}
	if n := server.Queries("none.test", dns.TypeTXT); n != 0 {
		t.Errorf("asked for the target %d times", n)
	}
}

func TestAliasLimits(t *testing.T) {
	t.Parallel()
	// backAndForth has x.test and y.test be each other's CNAME, in two replies.
	backAndForth := func(x *resolvertest.DNSExchange) {
		name, target := x.Query.Question[0].Name, "y.test."
		if strings.EqualFold(name, target) {
			target = "x.test."
		}
		x.Reply.Rcode, x.Reply.Ns = dns.RcodeSuccess, nil
		x.Reply.Answer = []dns.RR{&dns.CNAME{
			Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET},
			Target: target,
		}}
		x.Send()
	}
	for _, tt := range []struct {
		title string
		fault resolvertest.DNSFault
		want  string
	}{
		{"loop in one reply", resolvertest.DNSAliasLoop, "form a loop"},
		{"loop over two replies", backAndForth, "form a loop"},
		{"endless", resolvertest.DNSAliasEndless, "more than 16 names"},
		{"loop, and the server gives up", givesUp(backAndForth), "form a loop"},
		{"endless, and the server gives up", givesUp(resolvertest.DNSAliasEndless), "more than 16 names"},
		{"no chain, and the server gives up", resolvertest.DNSRcode(dns.RcodeServerFailure), "SERVFAIL"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Misbehave(resolvertest.EveryName, tt.fault)
			got, err := newClient(server).TXT(t.Context(), "x.test")
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, error %v; want %q in the error", got, err, tt.want)
			}
		})
	}
}

// TestAliasLongest: real chains have eight and nine names. The same comes out
// whether the server follows the chain or leaves off after one record.
func TestAliasLongest(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	const longest = 16
	for i := 1; i <= longest; i++ {
		server.Add(fmt.Sprintf("n%d.test. 300 IN CNAME n%d.test.", i+1, i))
	}
	server.Add(`n1.test. 300 IN TXT "end"`, `n1.test. 300 IN A 192.0.2.1`)
	client := newClient(server)
	for title, fault := range map[string]resolvertest.DNSFault{"whole": nil, "alias only": resolvertest.DNSAliasOnly} {
		server.Misbehave(resolvertest.EveryName, fault)
		for names := 2; names <= longest+1; names++ {
			got, err := client.TXT(t.Context(), fmt.Sprintf("n%d.test", names))
			if good := err == nil && len(got.Records) == 1; good != (names <= longest) {
				t.Errorf("%s, %d names: got %v, error %v", title, names, got, err)
			}
		}
	}
}

// givesUp answers SERVFAIL except for CNAME records, like a resolver that does
// not follow a chain to its end.
func givesUp(link resolvertest.DNSFault) resolvertest.DNSFault {
	return func(x *resolvertest.DNSExchange) {
		if x.Query.Question[0].Qtype == dns.TypeCNAME {
			link(x)
			return
		}
		resolvertest.DNSRcode(dns.RcodeServerFailure)(x)
	}
}

// TestAliasByLinks: a resolver follows fewer CNAME records than there are. The
// answer is as authenticated as the links are.
func TestAliasByLinks(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.SetAuthenticated(true)
	server.Unsigned("unsigned.test")
	server.Add(
		`signed.test. 300 IN CNAME link.test.`,
		`astray.test. 300 IN CNAME link.unsigned.test.`,
		`link.test. 300 IN CNAME end.test.`,
		`link.unsigned.test. 300 IN CNAME end.test.`,
		`end.test. 300 IN TXT "end"`,
		`bogus.test. 300 IN CNAME bogusend.test.`,
	)
	for _, name := range []string{"signed.test", "astray.test", "bogus.test"} {
		server.Misbehave(name, givesUp(func(x *resolvertest.DNSExchange) { x.Send() }))
	}
	server.Misbehave("bogusend.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	client := newClient(server)
	for name, authenticated := range map[string]bool{"signed.test": true, "astray.test": false} {
		got, err := client.TXT(t.Context(), name)
		want := dnsclient.Answer[string]{Records: []string{"end"}, TTL: 300 * time.Second, HasTTL: true, Authenticated: authenticated, Alias: "end.test"}
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
		}
	}
	if got, err := client.TXT(t.Context(), "bogus.test"); err == nil || !strings.Contains(err.Error(), "SERVFAIL") {
		t.Errorf("bogus.test: got %v, error %v", got, err)
	}
}

// TestUnrelatedRecords: records of other owners, types and classes do not
// become part of the answer, wherever they stand.
func TestUnrelatedRecords(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(`x.test. 300 IN TXT "right"`)
	server.Misbehave(resolvertest.EveryName, func(x *resolvertest.DNSExchange) {
		for _, line := range []string{
			`other.test. 1 IN TXT "other owner"`,
			`other.test. 1 IN CNAME x.test.`,
			`x.test. 1 CH TXT "other class"`,
			`x.test. 1 IN A 192.0.2.1`,
		} {
			rr, err := dns.NewRR(line)
			if err != nil {
				panic(err)
			}
			x.Reply.Answer = append([]dns.RR{rr}, x.Reply.Answer...)
			x.Reply.Extra = append(x.Reply.Extra, rr)
		}
		x.Send()
	})
	client := newClient(server)
	got, err := client.TXT(t.Context(), "x.test")
	want := dnsclient.Answer[string]{Records: []string{"right"}, TTL: 300 * time.Second, HasTTL: true}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("error %v, (-want +got)\n%s", err, diff)
	}
	if got, err := client.TXT(t.Context(), "none.test"); err != nil || len(got.Records) != 0 {
		t.Errorf("none.test: got %v, error %v", got, err)
	}
}

func TestAbsence(t *testing.T) {
	t.Parallel()
	foreign := func(x *resolvertest.DNSExchange) {
		x.Reply.Ns[0].Header().Name = "other."
		x.Send()
	}
	for _, tt := range []struct {
		title        string
		ttl, minimum time.Duration
		fault        resolvertest.DNSFault
		want         dnsclient.Answer[string]
	}{
		{"MINIMUM is less", 300 * time.Second, 120 * time.Second, nil, dnsclient.Answer[string]{TTL: 120 * time.Second, HasTTL: true}},
		{"TTL is less", 90 * time.Second, 120 * time.Second, nil, dnsclient.Answer[string]{TTL: 90 * time.Second, HasTTL: true}},
		{"zero", 300 * time.Second, 0, nil, dnsclient.Answer[string]{HasTTL: true}},
		{"no SOA", 300 * time.Second, 300 * time.Second, resolvertest.DNSWithoutSOA, dnsclient.Answer[string]{}},
		{"SOA of another zone", 300 * time.Second, 300 * time.Second, foreign, dnsclient.Answer[string]{}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Add(`nodata.test. 300 IN A 192.0.2.1`)
			server.SetNegativeTTL(tt.ttl, tt.minimum)
			server.Misbehave(resolvertest.EveryName, tt.fault)
			client := newClient(server)
			for _, name := range []string{"nodata.test", "none.test"} {
				got, err := client.TXT(t.Context(), name)
				tt.want.NoName = name == "none.test"
				if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
					t.Errorf("%s: error %v, (-want +got)\n%s", name, err, diff)
				}
			}
		})
	}
}
