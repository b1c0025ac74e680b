package lint

import (
	"slices"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

// MatchedBy returns the first of a policy's patterns that allows an MX host, ""
// where none does.
func MatchedBy(patterns []string, host string) string {
	for i, pattern := range patterns {
		one := mtasts.Policy{MX: patterns[i : i+1]}
		if one.Matches(host) {
			return pattern
		}
	}
	return ""
}

// Coverage holds a policy's patterns against all of the domain's MX hosts.
func Coverage(p mtasts.Policy, hosts []string) []Finding {
	var f findings
	if p.Mode == mtasts.ModeNone {
		return nil
	}
	for i, pattern := range p.MX {
		matches := func(host string) bool { return MatchedBy(p.MX[i:i+1], host) != "" }
		if !slices.ContainsFunc(hosts, matches) {
			f.add(Note, 0, "mx %s matches no MX host", printable.Quote(pattern))
		}
	}
	for _, host := range hosts {
		if MatchedBy(p.MX, host) == "" {
			f.add(Warning, 0, "MX host %s matches no mx of the policy", printable.Quote(host))
		}
	}
	return f
}
