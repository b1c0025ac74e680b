package config

import (
	"fmt"
	"strings"
)

// exampleWidth is the longest line of the example's prose.
const exampleWidth = 80

// Example returns the file that is installed: every key with its default, all
// commented out. A key has no blank after its #, or two for each section that it
// is in.
func Example() string {
	keys := Keys()
	var b strings.Builder
	comment(&b, fmt.Sprintf(`Configuration of mta-sts-daemon. Every key stands here with its default; take away
the # before those that you change. An environment variable takes precedence over the
file: MTA_STS_DNS_SERVERS=10.0.0.1,10.0.0.2 sets dns.servers. "mta-sts-daemon check-config" checks both. A reload
("systemctl reload mta-sts-daemon") applies everything but %s.`, restarts(keys)))
	for _, k := range keys {
		depth := strings.Count(k.Name, ".")
		if depth == 0 {
			b.WriteByte('\n')
		}
		comment(&b, k.note())
		line := "#" + strings.Repeat("  ", depth) + k.Name[strings.LastIndexByte(k.Name, '.')+1:] + ":"
		if !k.Section {
			line += " " + k.Default
		}
		fmt.Fprintln(&b, line)
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

// restarts names the keys that a reload does not apply, without those below one
// that is named.
func restarts(keys []Key) string {
	var names []string
	for _, k := range keys {
		if k.Restart && !(len(names) > 0 && strings.HasPrefix(k.Name, names[len(names)-1]+".")) {
			names = append(names, k.Name)
		}
	}
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " and " + names[last]
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
