// Package dane checks whether mail to a next hop is protected by DANE (RFC 7672).
//
// With DANE, a mail host publishes in the DNS which certificate or key its SMTP
// server uses. That is a TLSA record, whose name has the port and the host:
//
//	example.com.              MX    10 mx.example.com.
//	_25._tcp.mx.example.com.  TLSA  3 1 1 9F86D081...
//
// It protects mail only if DNSSEC authenticates every answer on the way: the MX
// records, the addresses of the MX host and the TLSA records. So a check asks for
// these in that order, and stops at the first answer that is not authenticated.
// The result, a Verdict, summarizes all MX hosts of a next hop. Comparing
// certificates with TLSA records is the work of Postfix.
//
// Package dnsclient reports whether an answer is authenticated. If it cannot know
// that, because the server's AD bit does not count, the question counts as not
// answered.
package dane

import (
	"context"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// DNS asks a validating resolver. An error means that it could not answer. An
// absence of records is an empty answer without an error.
type DNS interface {
	MX(ctx context.Context, name string) (dnsclient.Answer[dnsclient.MX], error)
	Host(ctx context.Context, name string) (dnsclient.Host, error)
	CNAME(ctx context.Context, name string) (dnsclient.Answer[string], error)
	TLSA(ctx context.Context, name string) (dnsclient.Answer[dnsclient.TLSA], error)
}

// Kind is the result of a check of a next hop. MX hosts without addresses do not
// count. Kinds are stored as numbers in the policy file, so the numbers must not change.
type Kind uint8

const (
	// None: no DANE. The MX records are not authenticated, no MX host has
	// authenticated TLSA records, or the domain takes no mail (RFC 7505).
	None Kind = iota + 1
	// Unusable: at least one MX host has TLSA records, but no host has one that
	// can be used, and all could be asked. RFC 7672 section 2.2 wants TLS then,
	// without authentication.
	Unusable
	// Unknown: no MX host is known to have a usable TLSA record, but some could not
	// be looked up.
	Unknown
	// Partial: some MX hosts have usable TLSA records; others have none or could not
	// be looked up.
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

// Verdict is the result of a check.
type Verdict struct {
	Kind Kind
	// TTL is how long the verdict is valid: the least TTL of all answers used, at
	// least MinTTL and at most MaxTTL. A question that could not be answered, and a
	// negative answer without a TTL, count as MinTTL.
	TTL time.Duration
	// Incomplete: some mail hosts could not be looked up.
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
