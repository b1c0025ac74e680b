// Package layout lays text out for a person: aligned, wrapped to the width of
// the terminal, in colour where that helps.
package layout

import (
	"io"
	"math"
	"os"

	"golang.org/x/term"
)

// DefaultWidth is how wide a line may be where no terminal says otherwise.
const DefaultWidth = 80

// Page is where text for a person goes. What is written must be printable:
// strangers' bytes are quoted by whoever has them.
type Page struct {
	io.Writer
	Width  int // columns of a line; a word that is longer is not broken
	Colour bool
}

// On returns the page that w is: as wide as its terminal, in colour on a
// terminal that has any, unless NO_COLOR is set (no-color.org).
func On(w io.Writer) Page {
	p := Page{Writer: w, Width: DefaultWidth}
	file, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return p
	}
	if width, _, err := term.GetSize(int(file.Fd())); err == nil && width > 0 {
		p.Width = width
	}
	p.Colour = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
	return p
}

// OnLines is On, except that lines are not wrapped when w is no terminal: each row of a
// table is one line, for grep.
func OnLines(w io.Writer) Page {
	p := On(w)
	if file, ok := w.(*os.File); !ok || !term.IsTerminal(int(file.Fd())) {
		p.Width = math.MaxInt
	}
	return p
}

// Colour is what a cell's text is painted with. It must not be all that tells
// something: many see none.
type Colour string

// The colours of a terminal (ECMA-48 SGR); the zero Colour is none.
const (
	Red    Colour = "31"
	Green  Colour = "32"
	Yellow Colour = "33"
	Bold   Colour = "1"
	Faint  Colour = "2"
)

// paint puts a piece of one line in colour.
func (p Page) paint(c Colour, text string) string {
	if !p.Colour || c == "" || text == "" {
		return text
	}
	return "\x1b[" + string(c) + "m" + text + "\x1b[0m"
}
