// Package dane finds out whether mail to a next hop is protected by DANE (RFC
// 7672): whether its MX hosts have TLSA records that DNSSEC vouches for and a
// mail server can use. Matching certificates against them is Postfix's work.
//
// Whether an answer is authenticated is what the DNS client says. If it cannot
// know that, because the server's AD bit does not count, the question counts as
// not answered.
package dane

import (
	"context"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// DNS asks a validating resolver. An error means that it could not answer;
// absence is an answer without records.
type DNS interface {
	MX(ctx context.Context, name string) (dnsclient.Answer[dnsclient.MX], error)
	Host(ctx context.Context, name string) (dnsclient.Host, error)
	CNAME(ctx context.Context, name string) (dnsclient.Answer[string], error)
	TLSA(ctx context.Context, name string) (dnsclient.Answer[dnsclient.TLSA], error)
}

// Kind is what DANE says of a next hop. MX hosts without addresses do not count
// towards it. Kinds are stored as numbers, so they keep theirs.
type Kind uint8

const (
	// None: no DANE. The MX records are not authenticated, no MX host has
	// authenticated TLSA records, or the domain takes no mail (RFC 7505).
	None Kind = iota + 1
	// Unusable: at least one MX host has TLSA records, but no host has one that
	// can be used, and all could be asked. RFC 7672 section 2.2 wants TLS then,
	// without authentication.
	Unusable
	// Unknown: no MX host is known to have a usable TLSA record, but of some
	// the DNS could not say.
	Unknown
	// Partial: some MX hosts have usable TLSA records, others have not or could
	// not be asked.
	Partial
	// Full: every MX host has usable TLSA records.
	Full
)

// String returns a word for logs: none, unusable, unknown, partial, full.
func (k Kind) String() string {
	switch k {
	case None:
		return "none"
	case Unusable:
		return "unusable"
	case Unknown:
		return "unknown"
	case Partial:
		return "partial"
	case Full:
		return "full"
	}
	return "invalid"
}

// Verdict is what a check found.
type Verdict struct {
	Kind Kind
	// TTL is how long it holds: the least TTL of all answers that it was made
	// of, but MinTTL at least and MaxTTL at most. A question that could not be
	// answered, and an absence of which the DNS does not say how long it holds,
	// count as MinTTL.
	TTL time.Duration
	// Incomplete: of some mail hosts the DNS could not say.
	Incomplete bool
	// Failed is the first question that could not be answered, if Kind is Unknown.
	Failed error
}

// noDANE is the verdict for a port that is not known.
var noDANE = Verdict{Kind: None, TTL: MaxTTL}

// Bounds of Verdict.TTL.
const (
	MinTTL = time.Minute
	MaxTTL = time.Hour
)
