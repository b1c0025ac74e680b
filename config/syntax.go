package config

import (
	"bytes"
	"fmt"
	"regexp"
	"sort"
	"strings"
	"unicode/utf8"
)

// unreadable says why text is not handed to the YAML parser, with the line, or
// gives an empty reason. The parser itself names no line for these.
func unreadable(text []byte) (line int, reason string) {
	if len(text) > maxFileLen {
		return 0, fmt.Sprintf("the file is larger than %d KiB", maxFileLen>>10)
	}
	for i := 0; i < len(text); {
		c, size := utf8.DecodeRune(text[i:])
		switch {
		case c == utf8.RuneError && size == 1:
			reason = "not UTF-8"
		case c < ' ' && !strings.ContainsRune("\t\r\n", c), c == 0x7f:
			reason = fmt.Sprintf("control character %U", c)
		}
		if reason != "" {
			return 1 + bytes.Count(text[:i], []byte("\n")), reason
		}
		i += size
	}
	return 0, ""
}

// syntaxError finds the line of the error that documents returns for text. The
// parser gives no line, or the first line of the block around the error. The line
// returned is the last line of the shortest beginning of the file that has the
// same error: for a quote or bracket that is not closed, the line that opens it.
func syntaxError(text []byte, err error) (line int, reason string) {
	lines := bytes.SplitAfter(text, []byte("\n"))
	end := 0
	ends := make([]int, len(lines))
	for i, l := range lines {
		end += len(l)
		ends[i] = end
	}
	i := sort.Search(len(lines)-1, func(i int) bool {
		_, e := documents(text[:ends[i]])
		return e != nil && e.Error() == err.Error()
	})
	if indent := lines[i][:len(lines[i])-len(bytes.TrimLeft(lines[i], " \t"))]; bytes.Contains(indent, []byte("\t")) {
		return i + 1, "indented with a tab; YAML wants spaces"
	}
	return i + 1, err.Error()
}

// libraryPrefix is the text that the YAML parser puts before its reason.
var libraryPrefix = regexp.MustCompile(`^yaml: (line \d+: )?`)

// libraryReason is the reason in an error of the YAML parser.
func libraryReason(err error) string {
	return libraryPrefix.ReplaceAllString(err.Error(), "")
}
