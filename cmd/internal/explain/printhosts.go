package explain

import (
	"cmp"
	"strconv"

	"mta-sts-daemon/cmd/internal/layout"
)

// Limits of the text that is printed of a host.
const (
	maxAddresses = 5
	maxTLSA      = 5
	maxTLSAText  = 32
)

// printTable writes a line for each host.
func (m MX) printTable(p layout.Page) error {
	if len(m.Hosts) == 0 {
		return nil
	}
	if err := p.Paragraph(""); err != nil {
		return err
	}
	var table [][]layout.Cell
	for _, h := range m.Hosts {
		table = append(table, []layout.Cell{
			layout.Text(printed(h.Name)),
			h.preference(),
			h.match(m.Patterns),
			layout.Text(cmp.Or(string(h.DANE), "-")),
			h.where(),
		})
	}
	return p.Table([]string{"MAIL HOST", "PREF", "POLICY", "DANE", "ADDRESSES"}, table)
}

func (h Host) preference() layout.Cell {
	if h.Preference == nil {
		return layout.Text("-")
	}
	return layout.Text(strconv.Itoa(int(*h.Preference)))
}

func (h Host) match(patterns []string) layout.Cell {
	switch {
	case h.MatchedBy != "":
		return layout.Cell{Text: h.MatchedBy, Colour: layout.Green}
	case len(patterns) > 0:
		return layout.Cell{Text: "no match", Colour: layout.Yellow}
	}
	return layout.Text("-")
}

func (h Host) where() layout.Cell {
	if len(h.Addresses) == 0 {
		return layout.Cell{Text: cmp.Or(printed(h.Problem), "none"), Colour: layout.Red}
	}
	return layout.Text(some(h.Addresses, maxAddresses))
}

// print writes the lines that do not fit into the table.
func (m MX) print(out *rows) {
	switch {
	case m.Problem != "":
		out.paint(layout.Red, "MX", "%s", printed(m.Problem))
	case m.NoName:
		out.paint(layout.Red, "MX", "the domain does not exist (NXDOMAIN)")
	case m.Null:
		out.add("MX", "null: the domain accepts no mail")
	case m.Left > 0:
		out.add("MX", "%s, not looked at", layout.Count(m.Left, "more host"))
	}
	for _, h := range m.Hosts {
		for _, record := range h.TLSA[:min(len(h.TLSA), maxTLSA)] {
			if len(record) > maxTLSAText {
				record = record[:maxTLSAText] + "..."
			}
			out.add("TLSA", "%s: %s", printed(h.Name), record)
		}
	}
}
