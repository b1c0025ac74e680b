package dnsclient

import (
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/resolver/event"
)

const (
	defaultResolvConf = "/etc/resolv.conf"
	port              = 53
	// checkEvery is how often a resolv.conf is looked at, at most.
	checkEvery = 3 * time.Second
)

// resolvConf follows the servers of a resolv.conf(5).
type resolvConf struct {
	path   string
	logger *slog.Logger

	mu         sync.Mutex
	checked    time.Time   // when the file was last looked at
	version    os.FileInfo // of the file that current was read from; nil before
	current    *serverSet
	unreadable bool // and the log says so
}

// servers returns those in force. A file that cannot be read changes nothing:
// it may be in the middle of being replaced.
func (r *resolvConf) servers() *serverSet {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.current != nil && time.Since(r.checked) < checkEvery {
		return r.current
	}
	r.checked = time.Now()
	err := r.read()
	if err != nil && !r.unreadable {
		event.ResolvConfUnreadable.Log(r.logger, event.Reason(err))
	}
	r.unreadable = err != nil
	if r.current == nil {
		r.current = newServerSet(parseResolvConf(""))
	}
	return r.current
}

// read brings current up to date. The file is looked at before it is read, so
// that a change in between is noticed the next time.
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
	r.version = version
	r.current = newServerSet(parseResolvConf(string(text)))
	r.current.trustAD = hasTrustAD(string(text))
	return nil
}

func sameVersion(a, b os.FileInfo) bool {
	return os.SameFile(a, b) && a.Size() == b.Size() && a.ModTime().Equal(b.ModTime())
}

// parseResolvConf returns the addresses of the nameserver lines; where there
// are none, this host's own, as resolv.conf(5) has it. Like the C library, it
// passes over what it does not understand.
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

// hasTrustAD tells whether an options line of a resolv.conf(5) says trust-ad.
func hasTrustAD(text string) bool {
	for line := range strings.Lines(text) {
		words := strings.Fields(line)
		if len(words) > 0 && words[0] == "options" && slices.Contains(words[1:], "trust-ad") {
			return true
		}
	}
	return false
}
