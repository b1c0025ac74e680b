// Package clients is the wiring between a configuration and the packages that it
// configures, for the daemon and its commands alike.
package clients

import (
	"context"
	"log/slog"
	"net/netip"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/policyhost"
)

// Clients ask the DNS and the policy hosts.
type Clients struct {
	DNS      *dnsclient.Client
	Policies *policyhost.Client
	// Authorities are those that policy hosts are verified against.
	Authorities *authorities.Source
}

// New makes the clients that c describes. metrics count the questions to the
// DNS; nil for none. The error names the CA file that cannot be used.
func New(c config.Config, metrics *dnsclient.Metrics, logger *slog.Logger) (Clients, error) {
	roots, err := openAuthorities(fetchCAFile, c.Fetch.CAFile)
	if err != nil {
		return Clients{}, err
	}
	dns := NewDNS(c, metrics, logger)
	policies := policyhost.New(policyhost.Options{
		Addresses: func(ctx context.Context, host string) ([]netip.Addr, error) {
			answer, err := dns.Addresses(ctx, host)
			return answer.Records, err
		},
		Timeout:       c.Fetch.Timeout,
		Roots:         roots.Pool,
		Proxy:         c.Fetch.Proxy,
		AllowNetworks: c.Fetch.AllowNetworks,
	})
	return Clients{DNS: dns, Policies: policies, Authorities: roots}, nil
}

// NewDNS makes only the DNS client, for who needs no authorities: those take a tenth of a second.
func NewDNS(c config.Config, metrics *dnsclient.Metrics, logger *slog.Logger) *dnsclient.Client {
	servers, named := dnsServers(c.DNS.Servers)
	return dnsclient.New(dnsclient.Options{
		Servers: servers,
		Named:   named,
		TrustAD: c.DNS.DANE == config.DANEAlways,
		Timeout: c.DNS.Timeout,
		Logger:  logger,
		Metrics: metrics,
	})
}

// dnsServers separates the servers that have an address from those that have a
// name.
func dnsServers(servers []config.Server) (addrs []netip.AddrPort, named []dnsclient.Named) {
	for _, s := range servers {
		if ip, err := netip.ParseAddr(s.Host); err == nil {
			addrs = append(addrs, netip.AddrPortFrom(ip, s.Port))
		} else {
			named = append(named, dnsclient.Named(s))
		}
	}
	return addrs, named
}
