// Package tlspolicy translates between Postfix and package resolver: it reads the lookup
// keys of smtp_tls_policy_maps and writes the TLS policies that Postfix expects
// (postconf(5), TLS_README "TLS policy table").
//
// A key is a next hop, such as example.com or [mx.example.com]:587. The reply depends
// on DANE first, then on the domain's MTA-STS policy:
//
//	example.com         OK secure match=mx.example.com servername=hostname
//	dane.example        OK dane-only
//	example.net         NOTFOUND
//	broken-dns.example  TEMP and the question that failed
//
// Postfix delivers as without a policy after NOTFOUND, and defers the mail after TEMP.
// An override of the configuration replaces the reply for a domain, and monitor mode
// replaces every reply by NOTFOUND.
package tlspolicy

import (
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/socketmap/tlspolicy/syntax"
)

// ParseKey reads a lookup key, which is a next hop: see syntax.ParseNextHop.
func ParseKey(key string) (hop resolver.NextHop, ok bool) {
	parsed, ok := syntax.ParseNextHop(key)
	return resolver.NextHop(parsed), ok
}
