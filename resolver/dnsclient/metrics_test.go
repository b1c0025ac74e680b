package dnsclient_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"

	"github.com/miekg/dns"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

func TestMetrics(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add("x.test. 300 IN TXT text", "x.test. 300 IN MX 10 mx.x.test.", "x.test. 300 IN A 192.0.2.1", "x.test. 300 IN TLSA 3 1 1 00",
		"alias.test. 300 IN CNAME x.test.")
	server.Misbehave("broken.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	reg := prometheus.NewRegistry()
	metrics := dnsclient.NewMetrics(reg)
	// As after a reload: the counts go on.
	newClient := func() *dnsclient.Client {
		return dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{server.Addr()}, Metrics: metrics})
	}
	ctx := t.Context()
	newClient().TXT(ctx, "x.test")
	c := newClient()
	c.TXT(ctx, "alias.test")
	c.TXT(ctx, "absent.test")
	c.TXT(ctx, "broken.test")
	c.TXT(ctx, strings.Repeat("x", 300)+".test")
	c.MX(ctx, "x.test")
	c.Addresses(ctx, "x.test")
	c.CNAME(ctx, "alias.test")
	c.TLSA(ctx, "x.test")
	c.Validates(ctx)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	c.TXT(ended, "x.test") // says nothing of the DNS

	const want = `
# HELP mta_sts_dns_queries_total DNS questions, by record type and result: records, absent (the name has no such records) or failed (no usable answer).
# TYPE mta_sts_dns_queries_total counter
mta_sts_dns_queries_total{result="absent",type="A"} 0
mta_sts_dns_queries_total{result="absent",type="AAAA"} 1
mta_sts_dns_queries_total{result="absent",type="CNAME"} 0
mta_sts_dns_queries_total{result="absent",type="MX"} 0
mta_sts_dns_queries_total{result="absent",type="SOA"} 1
mta_sts_dns_queries_total{result="absent",type="TLSA"} 0
mta_sts_dns_queries_total{result="absent",type="TXT"} 1
mta_sts_dns_queries_total{result="failed",type="A"} 0
mta_sts_dns_queries_total{result="failed",type="AAAA"} 0
mta_sts_dns_queries_total{result="failed",type="CNAME"} 0
mta_sts_dns_queries_total{result="failed",type="MX"} 0
mta_sts_dns_queries_total{result="failed",type="SOA"} 0
mta_sts_dns_queries_total{result="failed",type="TLSA"} 0
mta_sts_dns_queries_total{result="failed",type="TXT"} 2
mta_sts_dns_queries_total{result="records",type="A"} 1
mta_sts_dns_queries_total{result="records",type="AAAA"} 0
mta_sts_dns_queries_total{result="records",type="CNAME"} 1
mta_sts_dns_queries_total{result="records",type="MX"} 1
mta_sts_dns_queries_total{result="records",type="SOA"} 0
mta_sts_dns_queries_total{result="records",type="TLSA"} 1
mta_sts_dns_queries_total{result="records",type="TXT"} 2
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want)); err != nil {
		t.Error(err)
	}
}
