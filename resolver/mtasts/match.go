package mtasts

import (
	"slices"
	"strings"
)

// Matches reports whether one of the policy's patterns matches the MX host
// (RFC 8461 section 4.1). A wildcard matches exactly one label. An MX host may be
// any DNS name in any case, also one with underscores or of a single label.
func (p Policy) Matches(host string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	return slices.ContainsFunc(p.MX, func(pattern string) bool { return matches(pattern, host) })
}

// MatchesAny reports whether Matches is true for at least one of the hosts.
func (p Policy) MatchesAny(hosts []string) bool { return slices.ContainsFunc(hosts, p.Matches) }

func matches(pattern, host string) bool {
	parent, wildcard := strings.CutPrefix(pattern, "*.")
	if !wildcard {
		return host == pattern
	}
	_, rest, ok := strings.Cut(host, ".")
	return ok && rest == parent
}
