package config

import (
	"fmt"
	"strings"
)

// exampleWidth is the longest line of the example's prose.
const exampleWidth = 80

// Example returns the file that is installed: every key with its default, all
// of them comments. What is commented out has no blank after its #, or two for
// a key in a section.
func Example() string {
	keys := Keys()
	var b strings.Builder
	comment(&b, fmt.Sprintf(`Configuration of mta-sts-daemon. Every key stands here with its default; take away
the # before those that you change. "mta-sts-daemon check-config" checks the file. A reload
("systemctl reload mta-sts-daemon") applies everything but %s.`, strings.Join(restarts(keys), " and ")))
	for _, k := range keys {
		section, name, nested := strings.Cut(k.Name, ".")
		if !nested {
			section, name = "", section
			b.WriteByte('\n')
		}
		comment(&b, k.note())
		switch {
		case k.Section:
			fmt.Fprintf(&b, "#%s:\n", name)
		case nested:
			fmt.Fprintf(&b, "#  %s: %s\n", name, k.Default)
		default:
			fmt.Fprintf(&b, "#%s: %s\n", name, k.Default)
		}
	}
	return b.String()
}

// note is what stands above the key.
func (k Key) note() string {
	if k.Section {
		return k.About
	}
	first, rest, more := strings.Cut(k.About, "\n\n")
	first += " (" + k.Values + ")"
	if !more {
		return first
	}
	return first + "\n\n" + rest
}

// restarts are the names of keys that a reload does not apply, without those
// below one that is named.
func restarts(keys []Key) []string {
	var names []string
	for _, k := range keys {
		section, _, nested := strings.Cut(k.Name, ".")
		if k.Restart && !(nested && len(names) > 0 && names[len(names)-1] == section) {
			names = append(names, k.Name)
		}
	}
	return names
}

// comment writes prose, see Key.About, with a # before each line.
func comment(b *strings.Builder, prose string) {
	line := "#"
	flush := func() {
		if line != "#" {
			fmt.Fprintln(b, line)
			line = "#"
		}
	}
	for text := range strings.Lines(prose) {
		switch text = strings.TrimRight(text, "\n"); {
		case text == "":
			flush()
			fmt.Fprintln(b, "#")
		case text[0] == ' ':
			flush()
			fmt.Fprintf(b, "# %s\n", text)
		default:
			for word := range strings.FieldsSeq(text) {
				if len(line)+1+len(word) > exampleWidth {
					flush()
				}
				line += " " + word
			}
		}
	}
	flush()
}
