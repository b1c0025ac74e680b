package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// debianDate is RFC 5322's, as Debian's changelogs have it.
const debianDate = "Mon, 02 Jan 2006 15:04:05 -0700"

// debianChangelog turns the project's changelog, sections "## VERSION, DATE" of
// lists, into Debian's form without subheadings. The newest section is the
// release's, whatever version it names; a section without a valid date is published
// together with it.
func debianChangelog(markdown []byte, r release) ([]byte, error) {
	var b bytes.Buffer
	sections := strings.Split(string(markdown), "\n## ")[1:]
	if len(sections) == 0 {
		return nil, errors.New("CHANGELOG.md has no section")
	}
	for i, section := range sections {
		heading, list, _ := strings.Cut(section, "\n")
		version, day, _ := strings.Cut(heading, ", ")
		if i == 0 {
			version = r.version
		}
		date, err := time.Parse(time.DateOnly, day)
		if err != nil {
			date = r.date
		}
		if i > 0 {
			b.WriteByte('\n')
		}
		fmt.Fprintf(&b, "%s (%s) unstable; urgency=medium\n\n", program, version)
		for _, item := range strings.Split("\n"+list, "\n- ")[1:] {
			item, _, _ = strings.Cut(item, "\n### ")
			wrap(&b, "  * ", "    ", item)
		}
		fmt.Fprintf(&b, "\n -- %s  %s\n", r.maintainer, date.Format(debianDate))
	}
	return b.Bytes(), nil
}

// wrap writes words in lines of at most 79 characters, the first after first and
// the others after rest.
func wrap(b *bytes.Buffer, first, rest, words string) {
	const width = 79
	line := first
	for word := range strings.FieldsSeq(words) {
		switch {
		case line == first || line == rest:
		case len(line)+1+len(word) > width:
			fmt.Fprintln(b, line)
			line = rest
		default:
			line += " "
		}
		line += word
	}
	fmt.Fprintln(b, line)
}
