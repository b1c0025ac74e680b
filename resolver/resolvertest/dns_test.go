package resolvertest

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/miekg/dns"
)

// ask returns the server's reply over network, "udp" or "tcp".
func ask(t *testing.T, d *DNS, network, name string, qtype uint16) *dns.Msg {
	t.Helper()
	query := new(dns.Msg).SetQuestion(name, qtype)
	query.AuthenticatedData = true
	client := &dns.Client{Net: network}
	reply, _, err := client.Exchange(query, d.Addr().String())
	if err != nil {
		t.Fatalf("%s %s: %v", dns.TypeToString[qtype], name, err)
	}
	return reply
}

// summary shows a reply in one line: the rcode, the answer's owners and types,
// and the owner of the SOA record.
func summary(reply *dns.Msg) string {
	words := []string{dns.RcodeToString[reply.Rcode]}
	for _, rr := range slices.Concat(reply.Answer, reply.Ns) {
		words = append(words, rr.Header().Name+" "+dns.TypeToString[rr.Header().Rrtype])
	}
	return strings.Join(words, ", ")
}

func TestDNSAnswers(t *testing.T) {
	t.Parallel()
	d := StartDNS(t)
	d.Add(
		`deep.below.test. 300 IN A 192.0.2.1`,
		`alias.test. 300 IN CNAME deep.below.test.`,
		`dangling.test. 300 IN CNAME none.test.`,
		`loop.test. 300 IN CNAME loop.test.`,
		`zone.test. 300 IN SOA ns.zone.test. host.zone.test. 1 2 3 4 5`,
		`zone.test. 300 IN NS ns.zone.test.`,
	)
	d.Publish("good.zone.test", "1")
	d.Publish("good.zone.test", "2")
	d.Publish("gone.test", "1")
	d.Remove("_mta-sts.gone.test", dns.TypeTXT)
	d.Remove("never.test", dns.TypeTXT)
	for _, tt := range []struct {
		name  string
		qtype uint16
		want  string
		aa    bool
	}{
		{"deep.below.test.", dns.TypeA, "NOERROR, deep.below.test. A", false},
		{"DEEP.below.TEST.", dns.TypeA, "NOERROR, deep.below.test. A", false},
		{"deep.below.test.", dns.TypeTXT, "NOERROR, . SOA", false},
		{"below.test.", dns.TypeA, "NOERROR, . SOA", false},
		{"none.below.test.", dns.TypeA, "NXDOMAIN, . SOA", false},
		{"alias.test.", dns.TypeA, "NOERROR, alias.test. CNAME, deep.below.test. A", false},
		{"alias.test.", dns.TypeTXT, "NOERROR, alias.test. CNAME, . SOA", false},
		{"alias.test.", dns.TypeCNAME, "NOERROR, alias.test. CNAME", false},
		{"dangling.test.", dns.TypeA, "NXDOMAIN, dangling.test. CNAME, . SOA", false},
		{"loop.test.", dns.TypeA, "SERVFAIL", false},
		{"zone.test.", dns.TypeNS, "NOERROR, zone.test. NS", true},
		{"none.zone.test.", dns.TypeA, "NXDOMAIN, zone.test. SOA", true},
		{"_mta-sts.good.zone.test.", dns.TypeTXT, "NOERROR, _mta-sts.good.zone.test. TXT", true},
		{"mta-sts.good.zone.test.", dns.TypeA, "NOERROR, mta-sts.good.zone.test. A", true},
		{"_mta-sts.gone.test.", dns.TypeTXT, "NXDOMAIN, . SOA", false},
		{"mta-sts.gone.test.", dns.TypeA, "NOERROR, mta-sts.gone.test. A", false},
	} {
		for _, network := range []string{"udp", "tcp"} {
			reply := ask(t, d, network, tt.name, tt.qtype)
			if diff := cmp.Diff(tt.want, summary(reply)); diff != "" {
				t.Errorf("%s %s over %s: (-want +got)\n%s", dns.TypeToString[tt.qtype], tt.name, network, diff)
			}
			if reply.Authoritative != tt.aa || !reply.RecursionAvailable {
				t.Errorf("%s: header %+v", tt.name, reply.MsgHdr)
			}
		}
	}
	if n := d.Queries("DEEP.below.test", dns.TypeA); n != 4 {
		t.Errorf("%d queries counted; want 4", n)
	}
	if n := d.Queries("deep.below.test", dns.TypeMX); n != 0 {
		t.Errorf("%d queries counted; want 0", n)
	}
}

func TestDNSSettings(t *testing.T) {
	t.Parallel()
	d := StartDNS(t)
	if ask(t, d, "udp", "none.test.", dns.TypeA).AuthenticatedData {
		t.Error("AD before SetAuthenticated")
	}
	d.SetAuthenticated(true)
	d.SetNegativeTTL(20*time.Second, 10*time.Second)
	reply := ask(t, d, "udp", "none.test.", dns.TypeA)
	soa := reply.Ns[0].(*dns.SOA)
	if !reply.AuthenticatedData || soa.Hdr.Ttl != 20 || soa.Minttl != 10 {
		t.Errorf("got %v", reply)
	}
	d.Misbehave("bad.test", DNSRcode(dns.RcodeRefused))
	d.Misbehave(EveryName, DNSRcode(dns.RcodeServerFailure))
	for name, want := range map[string]int{"bad.test.": dns.RcodeRefused, "none.test.": dns.RcodeServerFailure} {
		if got := ask(t, d, "udp", name, dns.TypeA); got.Rcode != want {
			t.Errorf("%s: got %s", name, summary(got))
		}
	}
	d.Misbehave("bad.test", nil)
	d.Misbehave(EveryName, nil)
	if got := ask(t, d, "udp", "bad.test.", dns.TypeA); got.Rcode != dns.RcodeNameError {
		t.Errorf("well again: got %s", summary(got))
	}
}

// TestDNSChangesWhileServing is for the race detector, and for replies that
// were made of half a change.
func TestDNSChangesWhileServing(t *testing.T) {
	t.Parallel()
	d := StartDNS(t)
	d.Publish("x.test", "0")
	stop := make(chan struct{})
	var changing sync.WaitGroup
	changing.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				d.Publish("x.test", "1")
				d.Add(`y.test. 300 IN A 192.0.2.1`)
				d.Remove("y.test", dns.TypeA)
			}
		}
	})
	for range 200 {
		if reply := ask(t, d, "udp", "_mta-sts.x.test.", dns.TypeTXT); len(reply.Answer) != 1 {
			t.Errorf("got %s", summary(reply))
		}
	}
	close(stop)
	changing.Wait()
}
