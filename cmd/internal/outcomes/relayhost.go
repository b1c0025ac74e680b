package outcomes

import "strings"

// relayRule says which deliveries go to the relayhost of main.cf.
type relayRule struct {
	set  bool
	host string // if the relayhost is a mail host itself, "[host]:port"; "" if it has MX hosts
	port string
}

// parseRelayHost reads a value of relayhost: "", "[host]", "[host]:port", "domain"
// or "domain:port".
func parseRelayHost(value string) relayRule {
	inner, ok := strings.CutPrefix(value, "[")
	if !ok {
		return relayRule{set: value != ""}
	}
	host, rest, _ := strings.Cut(inner, "]")
	r := relayRule{set: true, host: host, port: strings.TrimPrefix(rest, ":")}
	switch r.port {
	case "", "smtp":
		r.port = "25"
	case "submission":
		r.port = "587"
	case "smtps", "submissions":
		r.port = "465"
	}
	return r
}

// takes reports whether a delivery went to the relayhost. One without a
// connection did, and so did all if the MX hosts of the relayhost are not known.
func (r relayRule) takes(host, port string, connected bool) bool {
	return r.set && (!connected || r.host == "" || strings.EqualFold(r.host, host) && r.port == port)
}
