package bench

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/resolver/store"
)

// policyID is that of all policies.
const policyID = "20260701T120000"

// domainName is the n-th policy domain's. Neighbours are far apart in the file,
// as the domains are that a mail server asks for.
func domainName(n int) string {
	return fmt.Sprintf("%08x.example.test", uint32(n)*2654435769) // odd, so no two are the same
}

func answerFor(domain string) string {
	return fmt.Sprintf("secure match=mx1.%s:.mx.%[1]s servername=hostname", domain)
}

// fill makes a policy file like that of a daemon that was stopped an hour ago:
// all policies hold, all records are to be asked for again, and none of the
// policies is due to be fetched yet.
func fill(b *testing.B, policies int) (path string) {
	b.Helper()
	const batch = 10_000
	path = filepath.Join(b.TempDir(), "policies.db")
	st, err := store.Open(path, slog.New(slog.NewTextHandler(os.Stderr, nil)))
	if err != nil {
		b.Fatal(err)
	}
	stopped := time.Now().Add(-time.Hour)
	for n := range policies {
		name := domainName(n)
		domain, err := mtasts.ParseDomain(name)
		if err != nil {
			b.Fatal(err)
		}
		policy, err := mtasts.ParsePolicy("version: STSv1\r\nmode: enforce\r\nmx: mx1." + name +
			"\r\nmx: *.mx." + name + "\r\nmax_age: 604800\r\n")
		if err != nil {
			b.Fatal(err)
		}
		st.Put(store.Entry{
			Domain: domain, ID: policyID, Policy: policy,
			Fetched: stopped, Used: stopped, Recheck: stopped.Add(5 * time.Minute),
			Next: stopped.Add(12*time.Hour + time.Duration(n)*time.Minute/1000),
		})
		if n%batch == batch-1 {
			if err := st.Flush(); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := st.Close(); err != nil {
		b.Fatal(err)
	}
	return path
}

// startDNS starts a resolver that has the record of every domain.
func startDNS(b *testing.B) *resolvertest.DNS {
	b.Helper()
	server := resolvertest.StartDNS(b)
	server.Misbehave(resolvertest.EveryName, func(x *resolvertest.DNSExchange) {
		question := x.Query.Question[0]
		x.Reply.Rcode, x.Reply.Ns = dns.RcodeSuccess, nil
		if question.Qtype == dns.TypeTXT {
			x.Reply.Answer = []dns.RR{&dns.TXT{
				Hdr: dns.RR_Header{Name: question.Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 3600},
				Txt: []string{"v=STSv1; id=" + policyID + ";"},
			}}
		}
		x.Send()
	})
	return server
}
