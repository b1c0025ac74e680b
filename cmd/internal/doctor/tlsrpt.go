package doctor

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
)

// tlsrpt examines whether the daemon and the client report to one TLSRPT collector, and
// whether that reads. Mail does not depend on it.
func (h Host) tlsrpt(c client) []Finding {
	ours, theirs := h.Config.TLSRPT.Socket, c.get(tlsrptSocket)
	enabled := strings.EqualFold(c.get(tlsrptEnable), yes)
	path, theirPath := c.seen(ours, false), c.seen(theirs, c.chroot)
	use := c.set(tlsrptEnable, yes)
	if theirs != ours {
		use = c.set(tlsrptSocket, ours) + "; " + use
	}
	switch {
	case ours == "" && !enabled:
		return nil
	case ours == "" && theirs == "":
		return []Finding{hint(checkTLSRPT, c.set(tlsrptEnable, "no")+" (or name the collector's socket in "+tlsrptSocket+")",
			"%s = yes, but %s is empty: Postfix reports no TLS sessions", tlsrptEnable, tlsrptSocket)}
	case ours == "":
		path = theirPath
	}
	if f := collector(path); f != nil {
		return []Finding{*f}
	}
	switch {
	case ours == "":
		return []Finding{hint(checkTLSRPT, fmt.Sprintf("tlsrpt: {socket: %q} in the daemon's configuration; reload it", path),
			"Postfix reports its TLS sessions to domains (%s = yes), but the daemon does not report policies that cannot be fetched", tlsrptEnable)}
	case c.get(tlsrptEnable) == "":
		return []Finding{well(checkTLSRPT, "A TLSRPT collector reads at %s; this Postfix cannot report TLS sessions there, 3.10 and later can", path)}
	case !enabled || theirs == "":
		return []Finding{hint(checkTLSRPT, use, "The daemon reports policies that cannot be fetched to %s, but Postfix does not report its TLS sessions", path)}
	case theirPath != path:
		return []Finding{hint(checkTLSRPT, "name one socket in both places: in main.cf a path relative to queue_directory if the smtp client is in a chroot, and the same in tlsrpt.socket",
			"The daemon reports to %s, Postfix to %s: domains get two reports, or half of one", path, theirPath)}
	}
	return []Finding{well(checkTLSRPT, "Postfix and the daemon report to the TLSRPT collector at %s", path)}
}

// collector returns why no collector can be reached at path, or nothing.
func collector(path string) *Finding {
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	switch {
	case err == nil:
		conn.Close()
		return nil
	case errors.Is(err, fs.ErrPermission):
		f := unknown(checkTLSRPT, remedyOfPermissions, "Whether a TLSRPT collector reads at %s is not known: %v", path, err)
		return &f
	}
	f := hint(checkTLSRPT, "start the collector, tlsrpt-collectd for instance, or correct tlsrpt.socket and "+tlsrptSocket,
		"No TLSRPT collector reads at %s, so that reports are lost: %v", path, err)
	return &f
}
