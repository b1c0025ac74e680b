// Package lint finds what is allowed in a domain's record and policy and yet
// looks like a mistake, or will surprise. It does no I/O. Whether they are valid
// at all is for package mtasts to say.
package lint

import "fmt"

// Severity is how much a finding matters.
type Severity string

const (
	// Warning is for what the owner of the domain should mend.
	Warning Severity = "warning"
	// Note is for what is good to know.
	Note Severity = "note"
)

// Finding is one thing that was found.
type Finding struct {
	Severity Severity `json:"severity"`
	// Line of the policy, from 1; 0 where it is about no one line.
	Line int `json:"line,omitempty"`
	// Text is one line of printable ASCII, whatever is published.
	Text string `json:"text"`
}

func (f Finding) String() string {
	if f.Line > 0 {
		return fmt.Sprintf("line %d: %s", f.Line, f.Text)
	}
	return f.Text
}

// maxFindings bounds what is said of one text: a web page has thousands.
const maxFindings = 20

// findings are collected here, the first ones alone.
type findings []Finding

func (f *findings) add(s Severity, line int, format string, args ...any) {
	if len(*f) < maxFindings {
		*f = append(*f, Finding{s, line, fmt.Sprintf(format, args...)})
	}
}
