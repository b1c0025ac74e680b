package dnsclient

import (
	"net"
	"net/netip"
	"slices"
	"strconv"
	"time"
)

// TrustsAD reports whether the AD bit of every server in force counts: nobody
// else can have set it on the way, because the server is on this host, or an
// administrator vouches for the way with "options trust-ad" in resolv.conf(5) or
// Options.TrustAD. The option in resolv.conf says nothing of Options.Servers.
func (c *Client) TrustsAD() bool {
	set := c.servers.inForce(time.Now())
	return len(set.addrs) > 0 && !slices.Contains(set.counts, false)
}

// containerResolver is the address at which container engines offer a resolver
// of their own. It forwards to servers elsewhere.
var containerResolver = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// onThisHost reports whether packets to addr stay on this host. If its own
// addresses cannot be read, only the loopback's do.
func onThisHost(addr netip.Addr) bool {
	addr = addr.Unmap()
	switch {
	case addr == containerResolver:
		return false
	case addr.IsLoopback(), addr.IsUnspecified(): // the kernel sends packets to the unspecified address to this host
		return true
	case addr.Zone() != "":
		nets, _ := zoneInterface(addr.Zone()).Addrs()
		return containsAddr(nets, addr.WithZone(""))
	case addr.IsLinkLocalUnicast() && addr.Is6(): // the same address may be another host's on each link
		return false
	}
	nets, _ := net.InterfaceAddrs()
	return containsAddr(nets, addr)
}

// zoneInterface is the interface that a zone names, by its name or index (RFC
// 4007 section 11.2), or nil, which has no addresses.
func zoneInterface(zone string) *net.Interface {
	if link, err := net.InterfaceByName(zone); err == nil {
		return link
	}
	index, err := strconv.Atoi(zone)
	if err != nil {
		return nil
	}
	link, _ := net.InterfaceByIndex(index)
	return link
}

func containsAddr(nets []net.Addr, addr netip.Addr) bool {
	return slices.ContainsFunc(nets, func(n net.Addr) bool {
		prefix, ok := n.(*net.IPNet)
		return ok && prefix.IP.Equal(addr.AsSlice())
	})
}
