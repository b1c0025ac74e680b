// Package clients makes, of a configuration, what the daemon and its commands
// ask the world with, and how they answer.
package clients

import (
	"context"
	"crypto/x509"
	"fmt"
	"log/slog"
	"net/netip"
	"os"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/policyhost"
)

// Clients ask the DNS and the policy hosts.
type Clients struct {
	DNS      *dnsclient.Client
	Policies *policyhost.Client
}

// New makes the clients that c describes. metrics count the questions to the
// DNS; nil for none. The error names the CA file that cannot be used.
func New(c config.Config, metrics *dnsclient.Metrics, logger *slog.Logger) (Clients, error) {
	roots, err := loadRoots(c.Fetch.CAFile)
	if err != nil {
		return Clients{}, fmt.Errorf("fetch.ca_file: %w", err)
	}
	dns := dnsclient.New(dnsclient.Options{
		Servers: c.DNS.Servers,
		Timeout: c.DNS.Timeout,
		Logger:  logger,
		Metrics: metrics,
	})
	policies := policyhost.New(policyhost.Options{
		Addresses: func(ctx context.Context, host string) ([]netip.Addr, error) {
			answer, err := dns.Addresses(ctx, host)
			return answer.Records, err
		},
		Timeout:       c.Fetch.Timeout,
		Roots:         roots,
		Proxy:         c.Fetch.Proxy,
		AllowNetworks: c.Fetch.AllowNetworks,
	})
	return Clients{DNS: dns, Policies: policies}, nil
}

// loadRoots reads a PEM file of authorities; nil stands for the system's.
func loadRoots(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s holds no certificate in PEM form", path)
	}
	return roots, nil
}
