package daemon

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"mta-sts-daemon/config"
)

// CheckListeners checks what cfg says of listeners against itself and this host,
// without opening any. With a fault the daemon does not start, or starts without that
// listener.
func CheckListeners(cfg config.Config) (faults, warnings []error) {
	places := listenPlaces(cfg)
	for i, p := range places {
		for _, before := range places[:i] {
			if collide(p.at, before.at) {
				faults = append(faults, fmt.Errorf("%s: %v is in use by %s, %v: name another", p.key, p.at, before.key, before.at))
			}
		}
	}
	if err := checkGroup(cfg.Listen); err != nil {
		faults = append(faults, err)
	}
	if len(cfg.Listen.Socketmap)+len(cfg.Listen.TCPTable) == 0 {
		warnings = append(warnings, errNowhere)
	}
	if at := cfg.Metrics.Listen; at.Network == config.TCP && onAllInterfaces(at) {
		warnings = append(warnings, fmt.Errorf("metrics.listen: %v can be reached from every network of this host, without a password: "+
			"name one address, such as 127.0.0.1, unless a firewall is in between", at))
	}
	if at := cfg.Metrics.Listen; cfg.Metrics.Page && at.Network == config.TCP && !onLoopback(at) {
		warnings = append(warnings, fmt.Errorf("metrics.page: the status page at %v names domains and can be read from other hosts, without a password: "+
			"name a loopback address, such as 127.0.0.1, in metrics.listen, unless a firewall is in between", at))
	}
	if cfg.Metrics.Page && cfg.Metrics.Listen.IsZero() {
		warnings = append(warnings, errors.New("metrics.page: the status page is served nowhere, because metrics.listen is not set: "+
			"set it, unless a socket unit with FileDescriptorName=metrics passes a socket"))
	}
	return faults, warnings
}

// listenPlaces are the addresses that cfg names.
func listenPlaces(cfg config.Config) (places []place) {
	for _, at := range cfg.Listen.Socketmap {
		places = append(places, place{key: "listen.socketmap", at: at})
	}
	for _, table := range cfg.Listen.TCPTable {
		places = append(places, place{key: "listen.tcp_table", at: table.Address})
	}
	if cfg.Admin.Socket != "" {
		places = append(places, place{key: "admin.socket", at: config.Address{Network: config.Unix, Address: cfg.Admin.Socket}})
	}
	if !cfg.Metrics.Listen.IsZero() {
		places = append(places, place{key: "metrics.listen", at: cfg.Metrics.Listen})
	}
	return places
}

// collide reports whether one program cannot listen at both addresses.
func collide(a, b config.Address) bool {
	if a.Network != b.Network {
		return false
	}
	if a.Network == config.Unix {
		return samePath(a.Address, b.Address)
	}
	hostA, portA, errA := net.SplitHostPort(a.Address)
	hostB, portB, errB := net.SplitHostPort(b.Address)
	if errA != nil || errB != nil || portA != portB || portA == "0" { // port 0: any free one
		return false
	}
	ipA, errA := netip.ParseAddr(hostA)
	ipB, errB := netip.ParseAddr(hostB)
	switch ipA, ipB := ipA.Unmap(), ipB.Unmap(); {
	case isDualStack(hostA) || isDualStack(hostB):
		return true
	case errA != nil || errB != nil: // names, which are not looked up
		return strings.EqualFold(hostA, hostB)
	default:
		return ipA == ipB || ipA.Is4() == ipB.Is4() && (ipA.IsUnspecified() || ipB.IsUnspecified())
	}
}

// isDualStack reports whether a listener at host takes all addresses, IPv4 and IPv6.
func isDualStack(host string) bool { return host == "" || host == "::" }

// onLoopback reports whether only this host can connect. A name counts as another host's,
// except localhost (RFC 6761 section 6.3).
func onLoopback(at config.Address) bool {
	host, _, _ := net.SplitHostPort(at.Address)
	ip, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && ip.Unmap().IsLoopback()
}

func onAllInterfaces(at config.Address) bool {
	host, _, _ := net.SplitHostPort(at.Address)
	ip, err := netip.ParseAddr(host)
	return host == "" || err == nil && ip.Unmap().IsUnspecified()
}

// checkGroup looks up the group of the unix sockets, if the daemon makes any.
func checkGroup(cfg config.Listen) error {
	makes := false
	for _, p := range listenPlaces(config.Config{Listen: cfg}) {
		makes = makes || p.at.Network == config.Unix
	}
	if !makes || cfg.SocketGroup == "" {
		return nil
	}
	if _, err := groupID(cfg.SocketGroup); err != nil {
		return fmt.Errorf("listen.socket_group: %w; create it (groupadd --system) or name another", err)
	}
	return nil
}
