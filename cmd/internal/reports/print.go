package reports

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"

	"mta-sts-daemon/cmd/internal/layout"
)

// Limits of the printed text; JSON has all.
const (
	maxDomains = 50
	// of each domain:
	maxFailures = 40
	maxSenders  = 20
)

// Print writes the summary for a person.
func (s Summary) Print(page layout.Page) error {
	if len(s.domains) == 0 {
		return page.Paragraph("No TLS report was read.")
	}
	domains := s.domains[:min(len(s.domains), maxDomains)]
	for _, d := range domains {
		colour := map[Verdict]layout.Colour{Safe: layout.Green, Advice: layout.Yellow, Unknown: layout.Yellow, Fault: layout.Red}[d.verdict]
		if err := page.Line(layout.Cell{Text: d.title() + ": " + d.reason, Colour: colour}); err != nil {
			return err
		}
	}
	if left := len(s.domains) - len(domains); left > 0 {
		fmt.Fprintf(page, "and %s more\n", layout.Count(left, "domain"))
	}
	for _, d := range domains {
		fmt.Fprintf(page, "\n%s\n", d.title())
		for _, print := range []func(layout.Page) error{d.printPolicies, d.printFailures, d.printSenders} {
			if err := print(page); err != nil {
				return err
			}
		}
	}
	if err := s.printRemedies(page); err != nil {
		return err
	}
	return page.Paragraph("\n" + s.footer())
}

func (d domain) title() string { return cmp.Or(d.name, "(no domain)") }

func (d domain) printPolicies(page layout.Page) error {
	var rows [][]layout.Cell
	for _, p := range d.policies {
		rows = append(rows, texts(cmp.Or(p.Type, "-"), cmp.Or(p.mode, "-"), number(p.Success), number(p.Failure), p.period.String()))
	}
	return page.Table([]string{"POLICY", "MODE", "SUCCESS", "FAILURE", "DAYS"}, rows)
}

func (d domain) printFailures(page layout.Page) error {
	var rows [][]layout.Cell
	left := 0
	for _, p := range d.policies {
		for _, f := range p.failed {
			if len(rows) == maxFailures {
				left++
				continue
			}
			rows = append(rows, texts(cmp.Or(f.result, "(not said)"), cmp.Or(f.mx, "-"), cmp.Or(f.sender, "-"), cmp.Or(p.Type, "-"),
				number(f.count), f.period.String(), cmp.Or(f.reason, "-")))
		}
	}
	return table(page, "Failures", []string{"RESULT", "MX HOST", "SENDER", "POLICY", "COUNT", "DAYS", "REASON"}, rows, left)
}

func (d domain) printSenders(page layout.Page) error {
	var rows [][]layout.Cell
	left := 0
	for _, p := range d.policies {
		for _, sender := range p.senders {
			if len(rows) == maxSenders {
				left++
				continue
			}
			rows = append(rows, texts(cmp.Or(sender.name, "-"), cmp.Or(p.Type, "-"), number(sender.success), number(sender.failure), sender.period.String()))
		}
	}
	return table(page, "Senders", []string{"SENDER", "POLICY", "SUCCESS", "FAILURE", "DAYS"}, rows, left)
}

// table writes a table under a title, and how many rows it lacks.
func table(page layout.Page, title string, header []string, rows [][]layout.Cell, left int) error {
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintf(page, "\n%s\n", title)
	if err := page.Table(header, rows); err != nil || left == 0 {
		return err
	}
	return page.Paragraph("and " + layout.Count(left, "more row"))
}

// printRemedies says what to do about each result type that occurs.
func (s Summary) printRemedies(page layout.Page) error {
	occurs := func(name string) bool {
		return slices.ContainsFunc(s.Policies, func(p Policy) bool {
			return slices.ContainsFunc(p.Results, func(r Result) bool { return r.ResultType == name })
		})
	}
	var rows [][2]layout.Cell
	for _, t := range resultTypes {
		if occurs(t.name) {
			rows = append(rows, [2]layout.Cell{layout.Text(t.name), layout.Text(t.remedy)})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	fmt.Fprintln(page, "\nWhat to do")
	return page.List(rows)
}

func (s Summary) footer() string {
	text := fmt.Sprintf("%s of %s, %s.", layout.Count(s.reports, "report"), layout.Count(s.senders, "sender"), s.span)
	if s.duplicates > 0 {
		text += fmt.Sprintf(" %s left out as duplicates.", layout.Count(s.duplicates, "report"))
	}
	if s.differing > 0 {
		text += fmt.Sprintf(" %d of them had other content than the first with that report-id.", s.differing)
	}
	if s.older > 0 {
		text += fmt.Sprintf(" %s left out as older.", layout.Count(s.older, "report"))
	}
	if s.leftOut {
		text += " There are too many policies, senders and kinds of failures to count; some are missing."
	}
	return text
}

func number(n uint64) string { return strconv.FormatUint(n, 10) }

func texts(cells ...string) []layout.Cell {
	row := make([]layout.Cell, 0, len(cells))
	for _, cell := range cells {
		row = append(row, layout.Text(cell))
	}
	return row
}
