package lint

import (
	"slices"

	"mta-sts-daemon/resolver/mtasts"
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
	var unused, uncovered []string
	for i, pattern := range p.MX {
		matches := func(host string) bool { return MatchedBy(p.MX[i:i+1], host) != "" }
		if !slices.ContainsFunc(hosts, matches) {
			unused = append(unused, pattern)
		}
	}
	for _, host := range hosts {
		if MatchedBy(p.MX, host) == "" {
			uncovered = append(uncovered, host)
		}
	}
	if len(unused) > 0 {
		f.add(Note, 0, "mx %s %s no MX host", some(unused), plural(unused, "matches", "match"))
	}
	if len(uncovered) > 0 {
		f.add(Warning, 0, "MX %s %s no mx of the policy", plural(uncovered, "host", "hosts")+" "+some(uncovered), plural(uncovered, "matches", "match"))
	}
	return f.all()
}
