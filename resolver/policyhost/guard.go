package policyhost

import (
	"fmt"
	"net/netip"
)

// guard decides which addresses may be connected to. A record's owner points
// the policy host wherever they like; without a guard that is at the daemon's
// own network.
type guard struct{ allow []netip.Prefix }

// newGuard makes a guard that allows the networks of allow next to the public addresses. A
// listed IPv4 network counts for its hosts however an address writes them,
// IPv4-mapped or by NAT64 too.
func newGuard(allow []netip.Prefix) guard {
	g := guard{make([]netip.Prefix, len(allow))}
	for i, p := range allow {
		const mapped = 128 - 32 // bits before the IPv4 address
		if p.Addr().Is4In6() && p.Bits() >= mapped {
			p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-mapped)
		}
		g.allow[i] = p
	}
	return g
}

// check returns an error if addr may not be connected to.
func (g guard) check(addr netip.Addr) error {
	if why := g.whyNot(addr); why != "" {
		return fmt.Errorf("address %v is not connected to: %s; fetch.allow_networks can allow it", addr.Unmap(), why)
	}
	return nil
}

// whyNot returns why addr may not be connected to, "" if it may.
func (g guard) whyNot(addr netip.Addr) string {
	addr = addr.Unmap()
	meant := withoutNAT64(addr)
	for _, p := range g.allow {
		if p.Contains(addr) || p.Contains(meant) {
			return ""
		}
	}
	return whyNotPublic(meant)
}

// nat64 is the well-known prefix of RFC 6052.
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// withoutNAT64 returns the IPv4 address that a translator will connect to.
func withoutNAT64(addr netip.Addr) netip.Addr {
	if !nat64.Contains(addr) {
		return addr
	}
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// whyNotPublic returns why addr is not a public unicast address, "" if it is.
func whyNotPublic(addr netip.Addr) string {
	// Written so that the zero Addr and one with a zone, in no prefix both, do
	// not pass.
	if !addr.Is4() && !globalUnicast.Contains(addr) {
		return fmt.Sprintf("it is outside %v, the public IPv6 addresses", globalUnicast)
	}
	for _, n := range specialPurpose {
		if n.prefix.Contains(addr) {
			return fmt.Sprintf("it is in %v, %s", n.prefix, n.use)
		}
	}
	return ""
}

// globalUnicast holds all public IPv6 addresses (IANA IPv6 address space).
var globalUnicast = netip.MustParsePrefix("2000::/3")

type network struct {
	prefix netip.Prefix
	use    string
}

// specialPurpose has the networks of the IANA special-purpose registries (RFC
// 6890) and the IPv4 multicast registry, less the IPv6 networks outside
// globalUnicast. Those that count as globally reachable (AS112, AMT and the like)
// are here too: they are anycast services, nearest inside one's own network
// perhaps, and not a place for a policy host. Never changed.
var specialPurpose = []network{
	special("0.0.0.0/8", "this network (RFC 791)"),
	special("10.0.0.0/8", "private use (RFC 1918)"),
	special("100.64.0.0/10", "shared address space (RFC 6598)"),
	special("127.0.0.0/8", "loopback (RFC 1122)"),
	special("169.254.0.0/16", "link-local (RFC 3927)"),
	special("172.16.0.0/12", "private use (RFC 1918)"),
	special("192.0.0.0/24", "IETF protocol assignments (RFC 6890)"),
	special("192.0.2.0/24", "documentation (RFC 5737)"),
	special("192.31.196.0/24", "AS112 (RFC 7535)"),
	special("192.52.193.0/24", "AMT (RFC 7450)"),
	special("192.88.99.0/24", "6to4 relays (RFC 7526)"),
	special("192.168.0.0/16", "private use (RFC 1918)"),
	special("192.175.48.0/24", "AS112 (RFC 7534)"),
	special("198.18.0.0/15", "benchmarking (RFC 2544)"),
	special("198.51.100.0/24", "documentation (RFC 5737)"),
	special("203.0.113.0/24", "documentation (RFC 5737)"),
	special("224.0.0.0/4", "multicast (RFC 5771)"),
	special("240.0.0.0/4", "reserved, and limited broadcast (RFC 1112, RFC 8190)"),

	special("2001::/23", "IETF protocol assignments, Teredo (RFC 2928, RFC 4380)"),
	special("2001:db8::/32", "documentation (RFC 3849)"),
	special("2002::/16", "6to4 (RFC 3056)"),
	special("2620:4f:8000::/48", "AS112 (RFC 7534)"),
	special("3fff::/20", "documentation (RFC 9637)"),
}

func special(prefix, use string) network { return network{netip.MustParsePrefix(prefix), use} }
