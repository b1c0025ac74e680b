// Package mtasts knows the grammar of RFC 8461 and nothing else: policy
// domains, the _mta-sts TXT record, policies and MX host patterns. It does no
// I/O and keeps no state.
//
// Where the grammar leaves a choice, docs/rfc8461.md says what is chosen and
// why.
package mtasts

import "fmt"

// SyntaxError says why a record or a policy is not valid. Every character that
// its author wrote is quoted, so that the message is one line of printable
// ASCII whatever they published.
type SyntaxError struct {
	// What is the text at fault: "record", "policy" or "domain".
	What string
	// Line counts from 1; 0 where the text has no lines or none is to blame.
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
