package dnsclient

import (
	"net"
	"net/netip"
	"slices"
)

// TrustsAD reports whether the AD bit of the servers in force can be believed:
// nobody could have set it on the way, because every server is on this host, or
// the administrator vouches for the way with "options trust-ad" in
// resolv.conf(5). That option says nothing of Options.Servers.
func (c *Client) TrustsAD() bool {
	set := c.servers()
	if set.trustAD {
		return true
	}
	own := ownAddresses()
	return !slices.ContainsFunc(set.addrs, func(server netip.AddrPort) bool {
		addr := server.Addr().Unmap().WithZone("")
		// A packet to the unspecified address goes to this host.
		return !addr.IsLoopback() && !addr.IsUnspecified() && !slices.Contains(own, addr)
	})
}

// ownAddresses are those of this host's interfaces as they are now. Where they
// cannot be had there are none, and AD is believed of the loopback alone.
func ownAddresses() []netip.Addr {
	nets, _ := net.InterfaceAddrs()
	var addrs []netip.Addr
	for _, n := range nets {
		if prefix, ok := n.(*net.IPNet); ok {
			if addr, ok := netip.AddrFromSlice(prefix.IP); ok {
				addrs = append(addrs, addr.Unmap())
			}
		}
	}
	return addrs
}
