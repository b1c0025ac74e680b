// Package tlspolicy speaks Postfix's dialect: the lookup keys that Postfix
// sends and the TLS policies that it reads (postconf(5)
// smtp_tls_policy_maps, TLS_README "TLS policy table").
package tlspolicy

import (
	"errors"
	"math"
	"strconv"
	"strings"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
)

const smtpPort = 25

// services are the words that may stand for a port in a next hop and mean the
// same on every host.
var services = map[string]uint16{
	"smtp":        smtpPort,
	"lmtp":        24,
	"smtps":       465,
	"submissions": 465,
	"submission":  587,
}

// ParseKey reads a lookup key: a next hop as transport(5) and relayhost write
// it, "example.com", "example.com:25", "[mx.example.com]:587". ok is false
// where no policy can belong to it: IP addresses, single labels, ".example.com"
// (Postfix's search for parent domains, which a policy never covers: RFC 8461
// section 3.4), anything that is no host name, and ports that are numbers
// outside 1 to 65535.
func ParseKey(key string) (hop resolver.NextHop, ok bool) {
	host, port := key, ""
	if rest, bracket := strings.CutPrefix(key, "["); bracket {
		if host, rest, ok = strings.Cut(rest, "]"); !ok {
			return hop, false
		}
		if port, ok = strings.CutPrefix(rest, ":"); !ok && len(rest) > 0 {
			return hop, false
		}
	} else {
		hop.MX = true
		if i := strings.LastIndexByte(key, ':'); i >= 0 {
			host, port = key[:i], key[i+1:]
		}
	}
	domain, err := mtasts.ParseDomain(host)
	if err != nil {
		return resolver.NextHop{}, false
	}
	if hop.Port, ok = parsePort(port); !ok {
		return resolver.NextHop{}, false
	}
	hop.Domain = domain
	return hop, true
}

// parsePort returns 0 for a name that only services(5) of this host defines. ok
// is false for a number that is no port.
func parsePort(s string) (port uint16, ok bool) {
	if len(s) == 0 {
		return smtpPort, true
	}
	if port, ok := services[s]; ok {
		return port, true
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if errors.Is(err, strconv.ErrSyntax) || s[0] == '+' {
		return 0, true
	}
	return uint16(n), 0 < n && n <= math.MaxUint16
}
