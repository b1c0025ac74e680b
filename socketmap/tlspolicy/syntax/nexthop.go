// Package syntax reads what Postfix's users write and nothing else of the program
// knows: next hops, as transport(5) and relayhost have them. The configuration
// uses it as lookups do, so that the same text means the same.
package syntax

import (
	"errors"
	"math"
	"strconv"
	"strings"

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

// NextHop is where Postfix is about to send mail.
type NextHop struct {
	Domain mtasts.Domain
	// MX: mail goes to the domain's MX hosts. False for a next hop in brackets,
	// which is the mail host itself.
	MX bool
	// Port is the TCP port of the mail host; 0 if it is not known.
	Port uint16
}

// Forms returns the forms in which Postfix's configuration may have h: with the number
// of the port, with each of its services, and without a port if it is 25.
func (h NextHop) Forms() []string {
	host := h.Domain.String()
	if !h.MX {
		host = "[" + host + "]"
	}
	forms := []string{host + ":" + strconv.Itoa(int(h.Port))}
	for service, port := range services {
		if port == h.Port {
			forms = append(forms, host+":"+service)
		}
	}
	if h.Port == smtpPort {
		forms = append(forms, host)
	}
	return forms
}

// ParseNextHop parses a next hop, "example.com", "example.com:25",
// "[mx.example.com]:587". ok is false if no policy can belong to it: IP addresses,
// single labels, ".example.com" (Postfix's search for parent domains, which a
// policy never covers: RFC 8461 section 3.4), other text than host names, and
// port numbers outside 1 to 65535.
func ParseNextHop(text string) (hop NextHop, ok bool) {
	host, port := text, ""
	if rest, bracket := strings.CutPrefix(text, "["); bracket {
		if host, rest, ok = strings.Cut(rest, "]"); !ok {
			return hop, false
		}
		if port, ok = strings.CutPrefix(rest, ":"); !ok && len(rest) > 0 {
			return hop, false
		}
	} else {
		hop.MX = true
		if i := strings.LastIndexByte(text, ':'); i >= 0 {
			host, port = text[:i], text[i+1:]
		}
	}
	domain, err := mtasts.ParseDomain(host)
	if err != nil {
		return NextHop{}, false
	}
	if hop.Port, ok = parsePort(port); !ok {
		return NextHop{}, false
	}
	hop.Domain = domain
	return hop, true
}

// parsePort returns 0 for a service that only this host's services(5) can name. ok is
// false for an invalid port number.
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
