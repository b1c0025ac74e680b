package resolver

import (
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
)

// NextHop is where Postfix is about to send mail.
type NextHop = dane.NextHop

// Answer is the knowledge about a next hop that an answer to Postfix is made of.
type Answer struct {
	// Policy is the domain's live policy, of whatever mode; nil if it has none.
	Policy *mtasts.Policy
	// Without is, if Policy is nil, the state of the domain: policies.StateAbsent or
	// policies.StateBroken. Any other value means that nothing could be learned of it.
	Without policies.State
	// DANE is what DANE says of the next hop; it takes precedence over Policy (RFC 8461
	// section 2).
	DANE dane.Kind
	// Failed is the question that could not be answered, if DANE is dane.Unknown; nil if
	// that is not known.
	Failed error

	// What follows is for reports to the domain (TLSRPT).

	// Failure is why the policy that the domain announces cannot be used, if that is its
	// publisher's fault beyond doubt; else nil.
	Failure *policies.Failure
	// MatchesNoMX: Policy is enforced, and no MX host of the domain matches it.
	MatchesNoMX bool
	// Later is not nil if the lookup is answered before its discovery has ended. It waits
	// for that and returns what Failure would have been.
	Later func() *policies.Failure
}
