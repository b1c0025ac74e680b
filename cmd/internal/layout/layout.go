// Package layout formats text for a terminal: aligned, wrapped to its width, with or
// without colour.
package layout

import (
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"golang.org/x/term"
)

// DefaultWidth is the width of lines if the output is not a terminal.
const DefaultWidth = 80

// Page writes formatted text. The text must be printable: callers quote untrusted
// bytes.
type Page struct {
	io.Writer
	Width  int // columns of a line; a word that is longer is not broken
	Colour bool
}

// On returns the page that w is: as wide as its terminal, in colour on a
// terminal that has any, unless NO_COLOR is set (no-color.org).
func On(w io.Writer) Page {
	p := Page{Writer: w, Width: DefaultWidth}
	fd, ok := terminal(w)
	if !ok {
		return p
	}
	if width, _, err := term.GetSize(fd); err == nil && width > 0 {
		p.Width = width
	}
	p.Colour = os.Getenv("NO_COLOR") == "" && !IsDumb()
	return p
}

// IsDumb reports whether the terminal interprets no control sequences.
func IsDumb() bool { return os.Getenv("TERM") == "dumb" }

// OnLines is On, except that lines are not wrapped if w is not a terminal: each row of
// a table is one line, for grep.
func OnLines(w io.Writer) Page {
	p := On(w)
	if _, ok := terminal(w); !ok {
		p.Width = math.MaxInt
	}
	return p
}

// terminal returns the file descriptor of the terminal that w writes to.
func terminal(w io.Writer) (fd int, ok bool) {
	file, ok := w.(interface{ Fd() uintptr })
	if !ok || !term.IsTerminal(int(file.Fd())) {
		return 0, false
	}
	return int(file.Fd()), true
}

// Colour is the colour of a cell's text. It must not be the only sign of anything,
// because not everybody sees colours.
type Colour string

// The colours of a terminal (ECMA-48 SGR). The zero Colour means no colour.
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

// Count writes a number and a noun, in the plural unless the number is one.
func Count[N int | int64 | uint64](n N, noun string) string {
	switch {
	case n == 1:
	case noun == "policy":
		noun = "policies"
	case strings.HasSuffix(noun, "s"):
		noun += "es"
	default:
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}
