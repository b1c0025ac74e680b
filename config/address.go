package config

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"mta-sts-daemon/socketmap/tlspolicy/syntax"
)

// The networks of an Address, as net.Listen names them.
const (
	TCP  = "tcp"
	Unix = "unix"
)

// Address is the network and address of a listener, ready for net.Listen. The
// zero Address stands for no listener. It is comparable.
type Address struct {
	Network string // TCP or Unix
	Address string // "host:port", where host may be empty, or an absolute path
}

// unixPrefix marks the path of a unix socket in the file.
const unixPrefix = "unix:"

// maxSocketPath is the longest path of a unix socket in bytes; see unix(7).
const maxSocketPath = 107

// String returns the address in the file's form.
func (a Address) String() string {
	if a.Network == Unix {
		return unixPrefix + a.Address
	}
	return a.Address
}

// IsZero reports whether a is the zero Address.
func (a Address) IsZero() bool { return a == Address{} }

// ParseAddress parses host:port or unix:/path.
func ParseAddress(text string) (Address, error) {
	a, err := address.parse(text)
	if err == nil {
		err = address.valid(a)
	}
	return a, err
}

// address is the kind of a listener's address. Port 0 lets the system choose a
// port.
var address = kind[Address]{
	values: "host:port or unix:/path",
	parse: func(text string) (Address, error) {
		if path, ok := strings.CutPrefix(text, unixPrefix); ok {
			return Address{Unix, path}, nil
		}
		return Address{TCP, text}, nil
	},
	valid: func(a Address) error {
		switch a.Network {
		case Unix:
			return path(maxSocketPath).valid(a.Address)
		case TCP:
			host, port, err := net.SplitHostPort(a.Address)
			if err != nil || host != "" && !isHost(host) {
				return fmt.Errorf("%s is neither host:port nor unix:/path", quote(a.Address))
			}
			return validPort(port, 0)
		default:
			return fmt.Errorf("network %s is neither %s nor %s", quote(a.Network), TCP, Unix)
		}
	},
}

const (
	dnsPort  = 53
	maxPort  = 65535
	proxyURL = "http://"
)

// server is a resolver, whose port may be left out.
var server = kind[Server]{
	values: "IP, IP:port, NAME or NAME:port",
	parse: func(text string) (Server, error) {
		if ip, err := netip.ParseAddr(text); err == nil {
			return Server{ip.Unmap().String(), dnsPort}, nil
		}
		host, port, err := net.SplitHostPort(text)
		if err != nil {
			host, port = text, strconv.Itoa(dnsPort)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil {
			n = 0 // which valid refuses
		}
		if ip, err := netip.ParseAddr(host); err == nil {
			host = ip.Unmap().String()
		}
		return Server{host, uint16(n)}, nil
	},
	valid: func(s Server) error {
		switch {
		case !isHost(s.Host):
			return fmt.Errorf("%s is not an IP address, a host name, IPv4:port, [IPv6]:port or NAME:port", quote(s.Host))
		case strings.EqualFold(strings.TrimSuffix(s.Host, "."), "localhost"):
			return fmt.Errorf("%s is never looked up; write 127.0.0.1 or ::1", quote(s.Host))
		case s.Port == 0:
			return fmt.Errorf("port of %s is not between 1 and %d", quote(s.Host), maxPort)
		}
		return nil
	},
}

// proxy is the host:port of an HTTP proxy. Its text may hold a password that
// somebody tried to give, which no message repeats.
var proxy = kind[string]{
	values: proxyURL + "host:port",
	format: func(hostPort string) string { return proxyURL + hostPort },
	parse: func(text string) (string, error) {
		hostPort, ok := strings.CutPrefix(text, proxyURL)
		if !ok {
			return "", errNoProxy
		}
		return strings.TrimSuffix(hostPort, "/"), nil
	},
	valid: func(hostPort string) error {
		host, port, err := net.SplitHostPort(hostPort)
		if err != nil || !isHost(host) || !all(port, isDigit) {
			return errNoProxy
		}
		return validPort(port, 1)
	},
}

var errNoProxy = fmt.Errorf("not of the form %shost:port, without user or path", proxyURL)

// network is a network or one address.
var network = kind[netip.Prefix]{
	values: "IP/BITS or IP",
	parse: func(text string) (netip.Prefix, error) {
		if ip, err := netip.ParseAddr(text); err == nil && ip.Zone() == "" {
			return netip.PrefixFrom(ip, ip.BitLen()), nil
		}
		p, err := netip.ParsePrefix(text)
		if err != nil {
			return p, fmt.Errorf("%s is not a network such as 10.0.0.0/8 or an address", quote(text))
		}
		return p, nil
	},
	valid: func(p netip.Prefix) error {
		switch {
		case !p.IsValid():
			return fmt.Errorf("a network is missing")
		case p.Addr().Is4In6():
			return fmt.Errorf("%s is IPv4 in IPv6; write the IPv4 network", p)
		case p != p.Masked():
			return fmt.Errorf("%s has bits beyond its length; write %s for the network or %s for the address",
				p, p.Masked(), p.Addr())
		}
		return nil
	},
}

func validPort(port string, least int) error {
	n, err := strconv.ParseUint(port, 10, 64)
	if err != nil {
		return fmt.Errorf("%s is not a port number", quote(port))
	}
	if n < uint64(least) || n > maxPort {
		return fmt.Errorf("port %d is not between %d and %d", n, least, maxPort)
	}
	return nil
}

// isHost reports whether s is an IP address or may be the name of a host.
func isHost(s string) bool {
	_, err := netip.ParseAddr(s)
	return err == nil || syntax.IsHostName(s)
}
