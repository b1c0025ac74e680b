// Package lint finds parts of a domain's record and policy that are allowed and
// yet look like a mistake or have a surprising effect. It does no I/O. Package
// mtasts decides whether they are valid.
package lint

import (
	"fmt"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/printable"
)

// Severity is how much a finding matters.
type Severity string

const (
	// Warning is for a problem that the owner of the domain should fix.
	Warning Severity = "warning"
	// Note is for a fact that is good to know.
	Note Severity = "note"
)

// Finding is one thing that was found.
type Finding struct {
	Severity Severity `json:"severity"`
	// Line of the policy, from 1; 0 if the finding is not about a single line.
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

// maxFindings limits the findings for one text: a web page would have thousands.
const maxFindings = 20

// findings are collected here. The first ones are kept and the rest is counted.
type findings struct {
	list []Finding
	more int
}

func (f *findings) add(s Severity, line int, format string, args ...any) {
	if len(f.list) < maxFindings {
		f.list = append(f.list, Finding{s, line, fmt.Sprintf(format, args...)})
		return
	}
	f.more++
}

// all returns the findings, and how many more were dropped.
func (f *findings) all() []Finding {
	if f.more == 0 {
		return f.list
	}
	return append(f.list, Finding{Severity: Note, Text: layout.Count(f.more, "more finding") + " not shown"})
}

// maxNamed limits how many names one finding repeats.
const maxNamed = 5

// some writes the first few names, quoted, and how many there are besides.
func some(names []string) string {
	var shown []string
	for _, name := range names[:min(len(names), maxNamed)] {
		shown = append(shown, printable.Quote(name))
	}
	text := strings.Join(shown, ", ")
	if more := len(names) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

// plural returns one for a single name, else many.
func plural(names []string, one, many string) string {
	if len(names) == 1 {
		return one
	}
	return many
}
