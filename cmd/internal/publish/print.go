package publish

import (
	"mta-sts-daemon/cmd/internal/layout"
)

// Print writes each finding in one line, for grep and for mail by cron. quiet leaves out
// notes and domains without a finding.
func Print(p layout.Page, reports []*Report, quiet bool) error {
	for _, r := range reports {
		said := false
		for _, f := range r.Findings {
			if quiet && f.Severity == Note {
				continue
			}
			said = true
			if err := p.Line(layout.Cell{Text: r.Domain + ": " + f.String(), Colour: f.Severity.colour()}); err != nil {
				return err
			}
		}
		if !said && !quiet {
			if err := p.Line(layout.Cell{Text: r.Domain + ": nothing found", Colour: layout.Green}); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s Severity) colour() layout.Colour {
	switch s {
	case Fault:
		return layout.Red
	case Note:
		return ""
	}
	return layout.Yellow
}
