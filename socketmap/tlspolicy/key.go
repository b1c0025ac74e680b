// Package tlspolicy speaks Postfix's dialect: the lookup keys that Postfix
// sends and the TLS policies that it reads (postconf(5)
// smtp_tls_policy_maps, TLS_README "TLS policy table").
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
