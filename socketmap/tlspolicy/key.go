// Package tlspolicy speaks Postfix's dialect: the lookup keys that Postfix
// sends and the TLS policies that it reads (postconf(5)
// smtp_tls_policy_maps, TLS_README "TLS policy table").
package tlspolicy

import (
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
// section 3.4) and whatever is no host name.
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
	hop.Domain, hop.Port = domain, parsePort(port)
	return hop, true
}

// parsePort returns 0 for a service that only this host's services(5) could
// tell.
func parsePort(s string) uint16 {
	if len(s) == 0 {
		return smtpPort
	}
	if port, ok := services[s]; ok {
		return port
	}
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(port)
}
