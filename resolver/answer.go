package resolver

import (
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
)

// smtpPort is the port of mail hosts that nothing else is said of.
const smtpPort = 25

// NextHop is where Postfix is about to send mail. A policy belongs to its
// Domain alone (RFC 8461 section 3.4); MX and Port matter to DANE.
type NextHop struct {
	Domain mtasts.Domain
	// MX: mail goes to the domain's MX hosts. False for a next hop in
	// brackets, which is the mail host itself.
	MX bool
	// Port is the TCP port of the mail host; 0 where it is not known.
	Port uint16
}

// clone returns a NextHop that may be kept: it shares no memory with what it was
// read from.
func (h NextHop) clone() NextHop {
	h.Domain = h.Domain.Clone()
	return h
}

// Answer is what is known about a next hop. What more is known of its domain
// says Known.
type Answer struct {
	// Policy is the domain's live policy, of whatever mode; nil where there is
	// none.
	Policy *mtasts.Policy
	// DANE is what DANE says of the next hop; it goes before Policy (RFC 8461
	// section 2).
	DANE dane.Kind
}
