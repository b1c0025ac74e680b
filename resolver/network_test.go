package resolver_test

import (
	"context"
	"log/slog"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/resolver/store"
)

const enforce = "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 86400\n"

// network is a Resolver with a DNS server and policy hosts on loopback.
type network struct {
	*resolver.Resolver
	dns   *resolvertest.DNS
	hosts *resolvertest.PolicyHosts
}

func newNetwork(tb testing.TB) network {
	ca := resolvertest.NewCA(tb)
	n := network{dns: resolvertest.StartDNS(tb), hosts: resolvertest.StartPolicyHosts(tb, ca)}
	client := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{n.dns.Addr()}})
	fetcher := policyhost.New(policyhost.Options{
		Addresses: func(ctx context.Context, host string) ([]netip.Addr, error) {
			answer, err := client.Addresses(ctx, host)
			return answer.Records, err
		},
		Roots:           ca.Pool,
		AllowNetworks:   []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")},
		TestingOnlyPort: n.hosts.Addr().Port(),
	})
	clk := clock.System()
	n.Resolver = resolver.New(resolver.Options{
		Settings: resolver.Settings{TXT: client, MX: client, Policies: fetcher, AnswerTimeout: 20 * time.Second, RecheckWait: time.Second,
			Limits:      policies.Limits{Entries: 1000, NegativeEntries: 1000, RefreshInterval: 24 * time.Hour, Idle: 24 * time.Hour},
			Concurrency: 4},
		Clock: clk, Store: store.OpenMemory(clk), Logger: slog.New(slog.DiscardHandler)})
	tb.Cleanup(n.Close)
	return n
}

func (n network) publish(domain, text string) {
	n.dns.Publish(domain, "1")
	n.hosts.Serve(domain, text)
}

func nextHop(tb testing.TB, domain string) resolver.NextHop {
	d, err := mtasts.ParseDomain(domain)
	if err != nil {
		tb.Fatal(err)
	}
	return resolver.NextHop{Domain: d, MX: true, Port: 25}
}

// 500 lookups of one new domain ask its record and fetch its policy once.
func TestManyLookupsOverTheNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.publish("many.test", enforce)
	var lookups sync.WaitGroup
	for range 500 {
		lookups.Go(func() {
			a, err := n.Resolve(t.Context(), nextHop(t, "many.test"))
			if err != nil || a.Policy == nil || a.Policy.Text != enforce {
				t.Errorf("Resolve = %v, %v", a, err)
			}
		})
	}
	lookups.Wait()
	if queries := n.dns.Queries("_mta-sts.many.test", dns.TypeTXT); queries != 1 {
		t.Errorf("%d TXT queries, want 1", queries)
	}
	if fetches := n.hosts.Requests("many.test"); fetches != 1 {
		t.Errorf("%d fetches, want 1", fetches)
	}
}

// A fault of one policy host gives no policy and has no effect on other domains.
func TestIllBehavedOverTheNetwork(t *testing.T) {
	t.Parallel()
	n := newNetwork(t)
	n.publish("good.test", enforce)
	for domain, behaviour := range map[string]resolvertest.Behaviour{
		"redirect.test":   resolvertest.HostRedirect(301, "good.test"),
		"missing.test":    resolvertest.HostStatus(404, enforce),
		"expired.test":    resolvertest.HostExpired(enforce),
		"wrong-name.test": resolvertest.HostWrongName(enforce),
		"html.test":       resolvertest.HostContentType("text/html", enforce),
		"closes.test":     resolvertest.HostCloses(),
		"endless.test":    resolvertest.HostEndlessBody(),
		"oversized.test":  resolvertest.HostPolicy(resolvertest.PaddedPolicy(mtasts.MaxPolicyLen + 1)),
	} {
		n.dns.Publish(domain, "1")
		n.hosts.Handle(domain, behaviour)
		if a, err := n.Resolve(t.Context(), nextHop(t, domain)); err != nil || a.Policy != nil {
			t.Errorf("%s: %v, %v; want no policy", domain, a.Policy, err)
		}
	}
	n.dns.Publish("largest.test", "1")
	n.hosts.Serve("largest.test", resolvertest.PaddedPolicy(mtasts.MaxPolicyLen))
	for _, domain := range []string{"good.test", "largest.test"} {
		if a, err := n.Resolve(t.Context(), nextHop(t, domain)); err != nil || a.Policy == nil {
			t.Errorf("%s: %v, %v; want a policy", domain, a, err)
		}
	}
}

// A discovery from record to policy, over loopback.
func BenchmarkDiscovery(b *testing.B) {
	n := newNetwork(b)
	// Not cached, so each lookup starts a discovery.
	n.publish("bench.test", "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 0\n")
	hop := nextHop(b, "bench.test")
	b.ReportAllocs()
	for b.Loop() {
		if a, err := n.Resolve(b.Context(), hop); err != nil || a.Policy == nil {
			b.Fatal(a, err)
		}
	}
}
