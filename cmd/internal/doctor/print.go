package doctor

import (
	"fmt"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
)

// Print prints the report for a person.
func (r Report) Print(p layout.Page) error {
	var rows [][2]layout.Cell
	count := make(map[Severity]int)
	for _, f := range r.Findings {
		count[f.Severity]++
		text := f.Text
		if f.Instance != "" {
			text = f.Instance + ": " + text
		}
		if len(f.Services) > 0 {
			text = fmt.Sprintf("%s (service %s)", text, strings.Join(f.Services, ", "))
		}
		rows = append(rows, [2]layout.Cell{{Text: string(f.Severity), Colour: f.Severity.colour()}, layout.Text(text)})
		if f.Remedy != "" {
			rows = append(rows, [2]layout.Cell{layout.Text(""), {Text: "Remedy: " + f.Remedy, Colour: layout.Bold}})
		}
	}
	if err := p.List(rows); err != nil {
		return err
	}
	return p.Paragraph("\n" + r.Verdict.sentence(count))
}

func (s Severity) colour() layout.Colour {
	switch s {
	case OK:
		return layout.Green
	case Problem:
		return layout.Red
	}
	return layout.Yellow
}

func (v Verdict) sentence(count map[Severity]int) string {
	switch v {
	case Suffers:
		return fmt.Sprintf("Mail suffers: problems: %d, hints: %d.", count[Problem], count[Hint])
	case Unclear:
		return fmt.Sprintf("Nothing was found that hurts mail, but not everything could be examined: unknown: %d, hints: %d.", count[Unknown], count[Hint])
	}
	return fmt.Sprintf("Nothing was found that hurts mail. Hints: %d.", count[Hint])
}
