package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// commonTexts are licences whose whole text Debian has in one place, which a
// package's copyright file names in place of a copy.
var commonTexts = []struct {
	id   string
	text *regexp.Regexp
}{
	{"Apache-2.0", regexp.MustCompile(`(?s)\s*Apache License\s+Version 2\.0, January 2004.*?or additional liability\.` +
		`(\s+END OF TERMS AND CONDITIONS)?(\s+APPENDIX:.*?limitations under the License\.)?`)},
	{"MPL-2.0", regexp.MustCompile(`(?s)Mozilla Public License, version 2\.0\s+1\. Definitions.*?defined by\s+the Mozilla Public License, v\. 2\.0\.`)},
}

// debianNames are the licences that Debian knows by another name than SPDX.
var debianNames = strings.NewReplacer("MIT", "Expat", " AND ", " and ")

// debianCopyright is the copyright file in Debian's machine-readable form 1.0. A
// module is a stanza whose files are those of the module: the package has them
// linked into its one program.
func debianCopyright(own licence, modules []module) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: %s
Comment:
 The first stanza is for the program. Those after it are for the Go modules
 that are linked into it, and std for Go's standard library.
`, program)
	stanza(&b, "*", "the "+program+" authors", own)
	for _, m := range modules {
		stanza(&b, m.path+"/*", "the authors of "+m.path, m.licence)
	}
	return b.Bytes()
}

// stanza writes the paragraph of files. holders are the copyright holders if the
// licence names none itself.
func stanza(b *bytes.Buffer, files, holders string, l licence) {
	if len(l.copyrights) > 0 {
		holders = strings.Join(l.copyrights, "\n ")
	}
	text := l.text
	for _, c := range commonTexts {
		text = c.text.ReplaceAllString(text,
			"\nOn Debian systems, the text of this licence is in\n/usr/share/common-licenses/"+c.id+".")
	}
	fmt.Fprintf(b, "\nFiles: %s\nCopyright: %s\nLicense: %s\n", files, holders, debianNames.Replace(l.id))
	for line := range strings.SplitSeq(strings.Trim(text, "\n"), "\n") {
		if line = strings.TrimRight(line, " \t"); line == "" {
			line = "."
		}
		fmt.Fprintf(b, " %s\n", strings.ReplaceAll(line, "\t", "    "))
	}
}

// allLicences is every licence in full, for distributions that have no texts in
// common.
func allLicences(own licence, modules []module) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s\n\n%s\n", program, own.text)
	for _, m := range modules {
		fmt.Fprintf(&b, "\n%s\n\n%s %s (%s)\n\n%s\n", strings.Repeat("-", 72), m.path, m.version, m.licence.id, m.licence.text)
	}
	return b.Bytes()
}
