package dane_test

import (
	"testing"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/resolvertest"
)

// TestAliasedHost: the MX host is a CNAME. The name that owns the addresses comes
// first, if the chain to it is signed; the name itself comes second, unless the
// question for the first name succeeds or fails with an error.
func TestAliasedHost(t *testing.T) {
	t.Parallel()
	const (
		itself = "_25._tcp.mx.test. 900 IN "
		end    = "_25._tcp.end.test. 900 IN "
		toEnd  = "mx.test. 900 IN CNAME end.test."
		astray = "mx.test. 900 IN CNAME end.u.test."
	)
	for _, tt := range []struct {
		title   string
		records []string
		down    string // a name that cannot be asked for
		want    dane.Kind
		asked   string // whose TLSA records
	}{
		{"at the end", []string{toEnd, end + good}, "", dane.Full, "end"},
		{"at the name", []string{toEnd, itself + good}, "", dane.Full, "end mx"},
		{"at both", []string{toEnd, end + good, itself + bad}, "", dane.Full, "end"},
		{"unusable at the end", []string{toEnd, end + bad, itself + good}, "", dane.Unusable, "end"},
		{"nowhere", []string{toEnd}, "", dane.None, "end mx"},
		{"end cannot be asked for", []string{toEnd, itself + good}, "_25._tcp.end.test", dane.Unknown, "end"},
		{"name cannot be asked for", []string{toEnd, itself + good}, "_25._tcp.mx.test", dane.Unknown, "end mx"},
		{"through another alias", []string{"mx.test. 900 IN CNAME m.test.", "m.test. 900 IN CNAME end.test.", "_25._tcp.m.test. 900 IN " + good}, "", dane.None, "end mx"},
		{"over unsigned ground", []string{"mx.test. 900 IN CNAME m.u.test.", "m.u.test. 900 IN CNAME end.test.", end + good}, "", dane.None, "mx"},
		{"unsigned end, at the name", []string{astray, itself + good}, "", dane.Full, "mx"},
		{"unsigned end, unusable at the name", []string{astray, itself + bad}, "", dane.Unusable, "mx"},
		{"unsigned end, at the end", []string{astray, "_25._tcp.end.u.test. 900 IN " + good}, "", dane.None, "mx"},
		{"TLSA is a signed alias", []string{toEnd, end + "CNAME tlsa.test.", "tlsa.test. 900 IN " + good}, "", dane.Full, "end"},
		{"TLSA is an alias to unsigned ground", []string{toEnd, end + "CNAME tlsa.u.test.", "tlsa.u.test. 900 IN " + good}, "", dane.None, "end mx"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server := world(t, "d.test. 900 IN MX 10 mx.test.",
				"end.test. 900 IN A 192.0.2.1", "end.u.test. 900 IN A 192.0.2.1")
			server.Add(tt.records...)
			if tt.down != "" {
				server.Misbehave(tt.down, resolvertest.DNSRcode(dns.RcodeServerFailure))
			}
			got, err := newChecker(server).Check(t.Context(), domain(t, "d.test"), true, 25)
			if err != nil || got.Kind != tt.want {
				t.Errorf("got %v, error %v; want %v", got.Kind, err, tt.want)
			}
			var asked string
			for _, name := range []string{"end", "end.u", "m", "m.u", "mx"} {
				if server.Queries("_25._tcp."+name+".test", dns.TypeTLSA) > 0 {
					if asked != "" {
						asked += " "
					}
					asked += name
				}
			}
			if asked != tt.asked {
				t.Errorf("asked for TLSA records of %q; want %q", asked, tt.asked)
			}
		})
	}
}

// TestUnsignedAlias: neither the name nor its target is signed.
func TestUnsignedAlias(t *testing.T) {
	t.Parallel()
	server := world(t, "d.test. 900 IN MX 10 mx2.u.test.",
		"mx2.u.test. 900 IN CNAME good.test.", "_25._tcp.mx2.u.test. 900 IN "+good)
	checker := newChecker(server)
	got, err := checker.Check(t.Context(), domain(t, "d.test"), true, 25)
	if err != nil || got.Kind != dane.None {
		t.Errorf("got %v, error %v", got.Kind, err)
	}
	if n := server.Queries("_25._tcp.mx2.u.test", dns.TypeTLSA); n != 0 {
		t.Errorf("%d questions for TLSA records of an unsigned name", n)
	}
	// Whether the first step is signed cannot be known.
	for title, rcode := range map[string]int{"not to be had": dns.RcodeServerFailure, "gone meanwhile": dns.RcodeSuccess} {
		server.Misbehave("mx2.u.test", func(x *resolvertest.DNSExchange) {
			if x.Query.Question[0].Qtype == dns.TypeCNAME {
				x.Reply.Rcode, x.Reply.Answer = rcode, nil
			}
			x.Send()
		})
		got, err = checker.Check(t.Context(), domain(t, "d.test"), true, 25)
		if err != nil || got.Kind != dane.Unknown {
			t.Errorf("CNAME %s: got %v, error %v", title, got.Kind, err)
		}
	}
}
