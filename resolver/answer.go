package resolver

import (
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
)

// NextHop is where Postfix is about to send mail.
type NextHop = dane.NextHop

// Answer is what is known about a next hop.
type Answer struct {
	// Policy is the domain's live policy, of whatever mode; nil if there is none.
	Policy *mtasts.Policy
	// DANE is what DANE says of the next hop; it takes precedence over Policy (RFC 8461
	// section 2).
	DANE dane.Kind
}
