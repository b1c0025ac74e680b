package explain

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// maxText bounds what is printed of one stranger's text, in octets.
const maxText = 500

// printable makes one line of printable ASCII of s, so that strangers' octets
// cannot steer the terminal.
func printable(s string) string {
	var b strings.Builder
	for i, r := range s {
		switch {
		case b.Len() >= maxText:
			return b.String() + "..."
		case ' ' <= r && r <= '~':
			b.WriteRune(r)
		default:
			_, size := utf8.DecodeRuneInString(s[i:])
			quoted := strconv.QuoteToASCII(s[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// some writes the first few of a stranger's strings.
func some(all []string, limit int) string {
	var shown []string
	for _, s := range all[:min(len(all), limit)] {
		shown = append(shown, printable(s))
	}
	text := strings.Join(shown, ", ")
	if more := len(all) - len(shown); more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}

func date(t time.Time) string { return t.UTC().Format("2006-01-02 15:04 UTC") }

// Units of time, in seconds.
const (
	minute = 60
	hour   = 60 * minute
	day    = 24 * hour
)

// lasts writes a number of seconds with what it comes to in a unit that a person
// thinks in.
func lasts(seconds int64) string {
	text := fmt.Sprintf("%d s", seconds)
	switch {
	case seconds >= 2*day:
		return text + " (" + counted(int(seconds/day), "day") + ")"
	case seconds >= hour:
		return text + " (" + counted(int(seconds/hour), "hour") + ")"
	case seconds >= 2*minute:
		return text + " (" + counted(int(seconds/minute), "minute") + ")"
	}
	return text
}

// counted writes a number of things, in the singular where it is one.
func counted(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}
