package doctor

import (
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
)

// address is where t's server is on this host.
func (c client) address(t postconf.Table) config.Address {
	a := t.Server
	if a.Network == config.Unix {
		a.Address = c.seen(a.Address, c.inChroot(t))
	}
	return a
}

// listensAt reports whether the daemon answers t.
func (h Host) listensAt(c client, t postconf.Table) bool {
	if t.Malformed {
		return false
	}
	var at []config.Address
	switch t.Kind {
	case postconf.TypeSocketmap:
		at = h.Config.Listen.Socketmap
	case postconf.TypeTCP:
		for _, l := range h.Config.Listen.TCPTable {
			at = append(at, l.Address)
		}
	}
	asked := c.address(t)
	for _, a := range at {
		// An absolute path that a client in the chroot does not find there is meant for
		// the daemon too; that it fails is another finding.
		if postconf.SameAddress(a, asked) || postconf.SameAddress(a, t.Server) {
			return true
		}
	}
	return false
}
