package layout

import (
	"strings"
	"unicode/utf8"
)

// wrap breaks text into lines of at most limit columns, at blanks; blanks that
// break no line are kept, and a word longer than a line is not broken. There is
// always one line.
func wrap(text string, limit int) (lines []string) {
	for line := range strings.SplitSeq(text, "\n") {
		for {
			at := breakAt(line, limit)
			lines = append(lines, strings.TrimRight(line[:at], " "))
			line = strings.TrimLeft(line[at:], " ")
			if line == "" {
				break
			}
		}
	}
	return lines
}

// breakAt returns how many bytes of line go on one line of limit columns.
func breakAt(line string, limit int) int {
	if utf8.RuneCountInString(line) <= limit {
		return len(line)
	}
	columns, last := 0, 0 // last is the last blank that has a word before it
	word := false
	for i, r := range line {
		if r == ' ' && word {
			last = i
		}
		word = word || r != ' '
		if columns++; columns > limit && last > 0 {
			return last
		}
	}
	return len(line)
}
