package layout

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"
)

const (
	gap = 2 // columns between cells
	// narrowest is what wrapping leaves of a list's text, however narrow the
	// page is.
	narrowest = 20
)

// Cell is one piece of a list or table. A newline in its text begins a new line.
type Cell struct {
	Text   string
	Colour Colour
}

// Text returns a cell without colour.
func Text(text string) Cell { return Cell{Text: text} }

// List writes rows of a label and a text, the texts beneath each other and
// wrapped. Labels are never broken; an empty one goes on with the row before.
func (p Page) List(rows [][2]Cell) error {
	label := 0
	for _, row := range rows {
		label = max(label, width(row[0].Text))
	}
	widths := []int{label, max(p.Width-label-gap, narrowest)}
	var out bytes.Buffer
	for _, row := range rows {
		p.row(&out, widths, row[:])
	}
	_, err := p.Write(out.Bytes())
	return err
}

// Table writes rows under a header, each column as wide as its widest cell.
// If they do not fit next to each other, the widest are wrapped; nothing is cut
// off. Every row has as many cells as the header.
func (p Page) Table(header []string, rows [][]Cell) error {
	all := make([][]Cell, 0, 1+len(rows))
	head := make([]Cell, 0, len(header))
	for _, title := range header {
		head = append(head, Cell{title, Bold})
	}
	all = append(append(all, head), rows...)
	widths := p.fit(all)
	var out bytes.Buffer
	for _, row := range all {
		p.row(&out, widths, row)
	}
	_, err := p.Write(out.Bytes())
	return err
}

// Paragraph writes text that is wrapped and not aligned with anything.
func (p Page) Paragraph(text string) error {
	var out bytes.Buffer
	p.row(&out, []int{p.Width}, []Cell{Text(text)})
	_, err := p.Write(out.Bytes())
	return err
}

// Line writes text that is not wrapped, for grep.
func (p Page) Line(text Cell) error {
	_, err := fmt.Fprintln(p, p.paint(text.Colour, text.Text))
	return err
}

// fit returns the width of each column: that of its widest cell or, if the page is
// too narrow, less for the widest columns, down to their longest words.
func (p Page) fit(rows [][]Cell) []int {
	widths, least := make([]int, len(rows[0])), make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], width(cell.Text))
			for word := range strings.FieldsSeq(cell.Text) {
				least[i] = max(least[i], width(word))
			}
		}
	}
	total := gap * (len(widths) - 1)
	for _, w := range widths {
		total += w
	}
	for ; total > p.Width; total-- {
		widest := -1
		for i, w := range widths {
			if w > least[i] && (widest < 0 || w > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// row writes cells beside each other, on as many lines as the longest takes.
func (p Page) row(out *bytes.Buffer, widths []int, cells []Cell) {
	wrapped := make([][]string, len(cells))
	height := 0
	for i, cell := range cells {
		wrapped[i] = wrap(cell.Text, widths[i])
		height = max(height, len(wrapped[i]))
	}
	for line := range height {
		blanks := 0
		for i, cell := range cells {
			text := ""
			if line < len(wrapped[i]) {
				text = wrapped[i][line]
			}
			if text != "" {
				out.WriteString(strings.Repeat(" ", blanks))
				out.WriteString(p.paint(cell.Colour, text))
				blanks = 0
			}
			blanks += max(widths[i]-width(text), 0) + gap
		}
		out.WriteByte('\n')
	}
}

// width is the width of the widest line of text, in columns. It counts runes: text
// here is ASCII, except for some file names.
func width(text string) int {
	widest := 0
	for line := range strings.SplitSeq(text, "\n") {
		widest = max(widest, utf8.RuneCountInString(line))
	}
	return widest
}
