package daemon

import (
	"context"
	"net/netip"
	"os"
	"strings"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
)

// hostsFile is hosts(5).
const hostsFile = "/etc/hosts"

// mailDNS is the DNS as Postfix sees it when it looks for mail hosts.
type mailDNS struct {
	*dnsclient.Client
	native bool // smtp_host_lookup has native
}

// Host asks the DNS. If that cannot answer and Postfix looks into the hosts file
// too, a name that stands there has an address that nobody authenticates, so it
// has no DANE.
func (m *mailDNS) Host(ctx context.Context, name string) (dnsclient.Host, error) {
	h, err := m.Client.Host(ctx, name)
	if err == nil || !m.native || ctx.Err() != nil {
		return h, err
	}
	return fromHostsFile(name, err)
}

// fromHostsFile returns the addresses of a host in the hosts file; notFound if it has
// none there.
func fromHostsFile(name string, notFound error) (dnsclient.Host, error) {
	text, err := os.ReadFile(hostsFile)
	if err != nil {
		return dnsclient.Host{}, notFound
	}
	addrs := addressesOf(string(text), name)
	if len(addrs) == 0 {
		return dnsclient.Host{}, notFound
	}
	answer := dnsclient.Answer[netip.Addr]{Records: addrs, TTL: dane.MinTTL, HasTTL: true}
	return dnsclient.Host{Answer: answer, Canonical: name}, nil
}

// addressesOf returns the addresses that a hosts(5) file gives a name.
func addressesOf(hosts, name string) (addrs []netip.Addr) {
	for line := range strings.Lines(hosts) {
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) < 2 {
			continue
		}
		addr, err := netip.ParseAddr(words[0])
		if err != nil {
			continue
		}
		for _, host := range words[1:] {
			if strings.EqualFold(strings.TrimSuffix(host, "."), name) {
				addrs = append(addrs, addr)
			}
		}
	}
	return addrs
}
