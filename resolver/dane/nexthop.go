package dane

import (
	"slices"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
)

// SMTPPort is the port of mail hosts if nothing else is said.
const SMTPPort = 25

// NextHop is where Postfix is about to send mail. A policy belongs to its Domain
// alone (RFC 8461 section 3.4); MX and Port matter to DANE.
type NextHop struct {
	Domain mtasts.Domain
	// MX: mail goes to the domain's MX hosts. False for a next hop in brackets, which
	// is the mail host itself.
	MX bool
	// Port is the TCP port of the mail host; 0 if it is not known.
	Port uint16
}

// Clone returns a NextHop that may be kept: it shares no memory with the text that it
// was read from.
func (h NextHop) Clone() NextHop {
	h.Domain = h.Domain.Clone()
	return h
}

// MailHosts returns the hosts that take a domain's mail, most preferred first and
// each once: its MX hosts; without MX records the name itself (RFC 5321 section 5.1);
// none if the only MX host is the null MX (RFC 7505). It is the one rule for that;
// hosts without addresses are among them.
func MailHosts(name string, records []dnsclient.MX) []string {
	if len(records) == 0 {
		return []string{name}
	}
	var hosts []string
	for _, mx := range records {
		if mx.Host != "" && !slices.Contains(hosts, mx.Host) {
			hosts = append(hosts, mx.Host)
		}
		if len(hosts) == maxMailHosts {
			break
		}
	}
	return hosts
}

// maxMailHosts bounds MailHosts: a publisher may have thousands of MX records. Mail
// servers try a handful of them.
const maxMailHosts = 500
