// Package mtasts implements the grammar of MTA-STS, RFC 8461: policy domains,
// the TXT record, the policy and MX host patterns. It does no I/O and keeps no
// state.
//
// With MTA-STS a domain that receives mail tells senders: deliver over TLS, to an
// MX host with a valid certificate, or not at all. It publishes two things. A TXT
// record announces the policy; its id changes whenever the policy changes:
//
//	_mta-sts.example.com.  TXT  "v=STSv1; id=20261128T120000;"
//
// The policy is a text file on a web server with a valid certificate, at
// https://mta-sts.example.com/.well-known/mta-sts.txt:
//
//	version: STSv1
//	mode: enforce
//	mx: mx1.example.com
//	mx: *.backup.example.net
//	max_age: 604800
//
// A sender keeps the policy for max_age seconds. That protects mail in this time
// even if an attacker removes the record or blocks the web server. In mode
// "testing" a sender delivers in spite of a failure and reports it; mode "none"
// ends the use of MTA-STS.
//
// [ParseDomain] makes a policy domain, [ParseRecord] finds the record among TXT
// records, [ParsePolicy] reads the policy, and [Policy.Matches] compares an MX host
// with its patterns. If the grammar leaves a choice, docs/rfc8461.md has the
// decision and the reason.
package mtasts

import "fmt"

// SyntaxError is the reason why a domain, a record or a policy is not valid. Text
// of its author is quoted, so that the message is always one line of printable ASCII.
type SyntaxError struct {
	// What names the invalid text: "record", "policy" or "domain".
	What string
	// Line counts from 1. It is 0 if the error is not in one line.
	Line int
	// Reason is a short clause for an operator.
	Reason string
}

func (e *SyntaxError) Error() string {
	if e.Line > 0 {
		return fmt.Sprintf("%s invalid at line %d: %s", e.What, e.Line, e.Reason)
	}
	return fmt.Sprintf("%s invalid: %s", e.What, e.Reason)
}
