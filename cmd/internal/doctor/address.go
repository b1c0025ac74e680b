package doctor

import (
	"net"
	"net/netip"
	"slices"
	"strings"

	"mta-sts-daemon/config"
)

// shipped are the sockets of the socket unit that comes with the daemon. Where
// it is in use they replace those of the configuration.
var shipped = [...]config.Address{
	{Network: config.TCP, Address: "127.0.0.1:8461"},
	{Network: config.Unix, Address: "/var/spool/postfix/mta-sts/sock"},
}

// address is where t's server really is on this host.
func (c client) address(t table) config.Address {
	a := t.server
	if a.Network == config.Unix {
		a.Address = c.seen(a.Address, c.jailedFor(t))
	}
	return a
}

// listensAt reports whether the daemon answers t, by the configuration or the
// unit.
func (h Host) listensAt(c client, t table) bool {
	if t.malformed {
		return false
	}
	var at []config.Address
	switch t.kind {
	case typeSocketmap:
		at = slices.Concat(h.Config.Listen.Socketmap, shipped[:])
	case typeTCP:
		for _, l := range h.Config.Listen.TCPTable {
			at = append(at, l.Address)
		}
	}
	asked := c.address(t)
	for _, a := range at {
		// A path within the jail that the client writes from outside is meant to
		// be the daemon's; why it does not get there is another finding.
		if sameAddress(a, asked) || sameAddress(a, t.server) {
			return true
		}
	}
	return false
}

// sameAddress reports whether who asks at asked gets to a listener at listens.
func sameAddress(listens, asked config.Address) bool {
	if listens.Network != asked.Network {
		return false
	}
	if listens.Network == config.Unix {
		return listens.Address == asked.Address
	}
	host, port, err := net.SplitHostPort(listens.Address)
	askedHost, askedPort, askedErr := net.SplitHostPort(asked.Address)
	if err != nil || askedErr != nil || port != askedPort {
		return false
	}
	ip, _ := netip.ParseAddr(host)
	return host == "" || ip.IsUnspecified() || host == askedHost || isLoopback(host) && isLoopback(askedHost)
}

// isLoopback is about the usual names of this host alone: 127.0.0.2 is not
// where a listener at 127.0.0.1 is.
func isLoopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || strings.EqualFold(host, localhost)
}

const localhost = "localhost"
