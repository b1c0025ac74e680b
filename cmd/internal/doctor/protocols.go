package doctor

import (
	"slices"
	"strconv"
	"strings"
)

// protocolNames are the protocols that Postfix knows, oldest first.
var protocolNames = []string{"SSLv2", "SSLv3", "TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"}

const (
	ssl3Wire  = 0x0300 // the version number of SSLv3 on the wire
	ssl3Index = 1      // in protocolNames
	leastGood = 4      // TLSv1.2, which RFC 8461 expects of mail servers, in protocolNames
)

// protocols examines the parameters that choose versions of TLS: one for mail to domains
// with a policy, one for the others.
func (c client) protocols() (findings []Finding) {
	for _, p := range []struct{ name, remedy, effect string }{
		{mandatoryProtocols, ">=TLSv1.2", "mail to every domain with an enforced policy is deferred"},
		{protocols, ">=TLSv1", "mail to domains without a policy is deferred"},
	} {
		switch usable, ok := offersTLS(c.get(p.name)); {
		case !ok:
			findings = append(findings, problem(checkProtocols, c.set(p.name, p.remedy),
				"%s = %s has a name that is no protocol: %s", p.name, c.get(p.name), p.effect))
		case !usable:
			findings = append(findings, problem(checkProtocols, c.set(p.name, p.remedy),
				"%s = %s allows neither TLSv1.2 nor TLSv1.3: %s", p.name, c.get(p.name), p.effect))
		}
	}
	return findings
}

// offersTLS reports whether a list as in smtp_tls_protocols allows TLSv1.2 or a later
// version. ok is false if Postfix refuses the list.
func offersTLS(list string) (usable, ok bool) {
	included, excluded := []int{}, []int{}
	floor, ceiling := 0, len(protocolNames)
	for _, word := range strings.FieldsFunc(list, func(r rune) bool { return strings.ContainsRune(", \t:", r) }) {
		name := strings.TrimLeft(word, "!<>=")
		at := slices.IndexFunc(protocolNames, func(known string) bool { return strings.EqualFold(known, name) })
		limits := strings.HasPrefix(word, ">=") || strings.HasPrefix(word, "<=")
		if number, err := strconv.ParseUint(name, 0, 16); limits && err == nil && number >= ssl3Wire {
			at = int(number) - ssl3Wire + ssl3Index
		}
		if at < 0 {
			return false, false
		}
		switch {
		case strings.HasPrefix(word, ">="):
			floor = at
		case strings.HasPrefix(word, "<="):
			ceiling = at
		case strings.HasPrefix(word, "!"):
			excluded = append(excluded, at)
		default:
			included = append(included, at)
		}
	}
	for at := leastGood; at < len(protocolNames); at++ {
		if at >= floor && at <= ceiling && !slices.Contains(excluded, at) && (len(included) == 0 || slices.Contains(included, at)) {
			return true, true
		}
	}
	return false, true
}
