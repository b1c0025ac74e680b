package explain

import (
	"fmt"

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
	first.add("Domain", "%s", r.Domain)
	r.Record.print(&first)
	r.PolicyHost.print(&first)
	r.Policy.print(&first)
	first.problem(r.Problem)
	r.MX.print(&last)
	r.DANE.print(&last)
	r.TLSRPT.print(&last)
	r.Daemon.print(&last)
	last.paint(verdictColour(r.Verdict), "Verdict", "%s", r.Verdict)
	for _, sentence := range r.Summary {
		summary.add("-", "%s", sentence)
	}
	for _, write := range []func() error{
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
	text := fmt.Sprintf("\nPostfix gets\n  %s\n", r.Postfix)
	if r.PostfixAfresh != "" {
		text += fmt.Sprintf("and of a daemon that remembers nothing\n  %s\n", r.PostfixAfresh)
	}
	_, err := fmt.Fprintln(p, text)
	return err
}

func verdictColour(v Verdict) layout.Colour {
	switch v {
	case HasPolicy:
		return layout.Green
	case CannotTell:
		return layout.Red
	}
	return ""
}
