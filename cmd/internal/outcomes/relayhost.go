package outcomes

import "strings"

// relayHosts are the destinations in the relayhost of main.cf, the preferred one first.
type relayHosts []relayDestination

type relayDestination struct {
	nextHop string // as main.cf has it
	host    string // if it is a mail host itself, "[host]:port"; "" if it has MX hosts
	port    string
}

// parseRelayHost reads a value of relayhost: destinations with commas or blanks between
// them, each "[host]", "[host]:port", "domain" or "domain:port".
func parseRelayHost(value string) (rs relayHosts) {
	for _, nextHop := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(", \t\r\n", r) }) {
		r := relayDestination{nextHop: nextHop}
		if inner, ok := strings.CutPrefix(nextHop, "["); ok {
			host, rest, _ := strings.Cut(inner, "]")
			r.host, r.port = host, strings.TrimPrefix(rest, ":")
		}
		switch r.port {
		case "", "smtp":
			r.port = "25"
		case "submission":
			r.port = "587"
		case "smtps", "submissions":
			r.port = "465"
		}
		rs = append(rs, r)
	}
	return rs
}

// taking returns the destination to which a delivery went; ok is false if it went to none
// of them. One without a connection went to the first, as far as can be seen, and all others
// to the first whose MX hosts are not known.
func (rs relayHosts) taking(host, port string, connected bool) (nextHop string, ok bool) {
	if !connected && len(rs) > 0 {
		return rs[0].nextHop, true
	}
	for _, r := range rs {
		if r.host == "" && !ok {
			nextHop, ok = r.nextHop, true
		} else if strings.EqualFold(r.host, host) && r.port == port {
			return r.nextHop, true
		}
	}
	return nextHop, ok
}
