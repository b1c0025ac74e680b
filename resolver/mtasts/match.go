package mtasts

import "strings"

// Matches reports whether one of the policy's patterns allows the MX host
// (RFC 8461 section 4.1): a wildcard stands for exactly one label.
func (p Policy) Matches(mx Domain) bool {
	for _, pattern := range p.MX {
		if matches(pattern, mx.name) {
			return true
		}
	}
	return false
}

func matches(pattern, host string) bool {
	parent, wildcard := strings.CutPrefix(pattern, "*.")
	if !wildcard {
		return host == pattern
	}
	_, rest, ok := strings.Cut(host, ".")
	return ok && rest == parent
}
