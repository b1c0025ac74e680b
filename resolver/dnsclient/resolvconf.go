package dnsclient

import (
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"

	"mta-sts-daemon/resolver/event"
)

const (
	defaultResolvConf = "/etc/resolv.conf"
	port              = 53
)

// resolvConf follows the servers of a resolv.conf(5). It is used under a lock.
type resolvConf struct {
	path   string
	logger *slog.Logger

	version    os.FileInfo // of the file that was read last; nil before
	addrs      []netip.AddrPort
	trustAD    bool // it says trust-ad
	unreadable bool // and the log says so
}

// servers returns the servers and whether the file vouches for their AD bit. A
// file that cannot be read changes nothing: it may be in the middle of being
// replaced.
func (r *resolvConf) servers() (addrs []netip.AddrPort, trustAD bool) {
	err := r.read()
	if err != nil && !r.unreadable {
		event.ResolvConfUnreadable.Log(r.logger, event.Reason(err))
	}
	r.unreadable = err != nil
	if r.addrs == nil {
		r.addrs = parseResolvConf("")
	}
	return r.addrs, r.trustAD
}

// read reads the file if it has changed. Its version is read first, so that a
// change in between is noticed the next time.
func (r *resolvConf) read() error {
	version, err := os.Stat(r.path)
	if err != nil {
		return err
	}
	if r.version != nil && sameVersion(r.version, version) {
		return nil
	}
	text, err := os.ReadFile(r.path)
	if err != nil {
		return err
	}
	r.version, r.addrs, r.trustAD = version, parseResolvConf(string(text)), hasTrustAD(string(text))
	return nil
}

func sameVersion(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// parseResolvConf returns the addresses of the nameserver lines or, if there are
// none, this host's own, as resolv.conf(5) says. Like the C library, it ignores
// other lines.
func parseResolvConf(text string) []netip.AddrPort {
	var servers []netip.AddrPort
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) < 2 || words[0] != "nameserver" {
			continue
		}
		if addr, err := netip.ParseAddr(words[1]); err == nil {
			servers = append(servers, netip.AddrPortFrom(addr.Unmap(), port))
		}
	}
	if len(servers) == 0 {
		loopback4 := netip.AddrFrom4([4]byte{127, 0, 0, 1})
		return []netip.AddrPort{netip.AddrPortFrom(loopback4, port), netip.AddrPortFrom(netip.IPv6Loopback(), port)}
	}
	return servers
}

// hasTrustAD reports whether an options line of a resolv.conf(5) says trust-ad.
func hasTrustAD(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 0 && words[0] == "options" && slices.Contains(words[1:], "trust-ad") {
			return true
		}
	}
	return false
}
