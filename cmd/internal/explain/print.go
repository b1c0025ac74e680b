package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/lint"
)

// rows are a list in the making.
type rows [][2]layout.Cell

func (r *rows) add(label, format string, args ...any) {
	r.paint("", label, format, args...)
}

func (r *rows) paint(c layout.Colour, label, format string, args ...any) {
	*r = append(*r, [2]layout.Cell{layout.Text(label), {Text: fmt.Sprintf(format, args...), Colour: c}})
}

func (r *rows) problem(text string) {
	if text != "" {
		r.paint(layout.Red, "Problem", "%s", printed(text))
	}
}

func (r *rows) findings(found []lint.Finding) {
	for _, f := range found {
		if f.Severity == lint.Warning {
			r.paint(layout.Yellow, "Warning", "%v", f)
		} else {
			r.add("Note", "%v", f)
		}
	}
}

// Print lays the report out to be read.
func (r *Report) Print(p layout.Page) error {
	var first, last, summary rows
	name := r.Domain
	if r.Key != "" {
		name += " (" + r.Key + ")"
	}
	head := layout.Cell{Text: name + ": " + strings.ToUpper(string(r.Outcome)) + ": " + printed(r.Reason), Colour: r.Outcome.colour()}
	r.Record.print(&first)
	r.PolicyHost.print(&first)
	r.Policy.print(&first)
	if r.PolicyHost == nil || r.PolicyHost.Certificate == nil || r.PolicyHost.Certificate.Problem == "" {
		first.problem(r.Problem) // else the certificate has the cause
	}
	r.MX.print(&last)
	r.DANE.print(&last)
	r.TLSRPT.print(&last)
	r.Daemon.print(&last)
	for _, sentence := range r.Summary {
		summary.add("-", "%s", sentence)
	}
	for _, write := range []func() error{
		func() error { return p.Line(head) },
		func() error { return p.Paragraph("") },
		func() error { return p.List(first) },
		func() error { return r.MX.printTable(p) },
		func() error { return p.Paragraph("") },
		func() error { return p.List(last) },
		func() error { return r.printPostfix(p) },
		func() error { return p.List(summary) },
	} {
		if err := write(); err != nil {
			return err
		}
	}
	return nil
}

// printPostfix writes the answer itself. It is not wrapped: it is there to be
// copied.
func (r *Report) printPostfix(p layout.Page) error {
	by := ""
	if r.Map != "" {
		by = " by the map name " + r.Map
	}
	text := fmt.Sprintf("\nPostfix gets%s\n  %s\n", by, r.Postfix)
	for _, name := range slices.Sorted(maps.Keys(r.OtherMaps)) {
		text += fmt.Sprintf("by the map name %s\n  %s\n", name, r.OtherMaps[name])
	}
	if r.Withheld != "" {
		text += fmt.Sprintf("in mode enforce it would get\n  %s\n", r.Withheld)
	}
	if r.PostfixAfresh != "" {
		text += fmt.Sprintf("a daemon that remembers nothing would answer\n  %s\n", r.PostfixAfresh)
	}
	_, err := fmt.Fprintln(p, text)
	return err
}
