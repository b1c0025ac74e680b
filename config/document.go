package config

import (
	"fmt"
	"strings"
)

// Key is what documentation says about one key of the file.
type Key struct {
	Name string // dotted, "dns.timeout"

	// About is prose in ASCII: paragraphs with an empty line between them. A line
	// that begins with a blank is not wrapped. It is empty if the section's keys
	// need no introduction.
	About string

	Section bool   // the key has others below it, which follow, and none of these:
	Values  string // the accepted values, such as "10ms to 1m"
	Default string // as the file has it

	Restart bool // a reload does not apply it
}

// Keys returns every key in the order in which documentation has them, a
// section before the keys below it.
func Keys() []Key {
	c := Default()
	return schema(&c).keys("", false)
}

func (s section) keys(parent string, restart bool) []Key {
	var keys []Key
	for _, e := range s {
		k := Key{Name: join(parent, e.key), About: unindent(e.about), Restart: restart}
		f := e.field
		if r, ok := f.(needsRestart); ok {
			f, k.Restart = r.field, true
		}
		if below, ok := f.(section); ok {
			k.Section = true
			keys = append(append(keys, k), below.keys(k.Name, k.Restart)...)
			continue
		}
		k.Values, k.Default = f.values(), f.text()
		keys = append(keys, k)
	}
	return keys
}

// unindent takes the code's indentation, in tabs, off each line.
func unindent(about string) string {
	lines := strings.Split(about, "\n")
	for i, l := range lines {
		lines[i] = strings.TrimLeft(l, "\t")
	}
	return strings.Join(lines, "\n")
}

// scalar writes text as YAML. It adds quotes unless text is a plain word, a
// number or a duration.
func scalar(text string) string {
	plain := func(c byte) bool { return isAlnum(c) || c == '_' || c == '-' || c == '.' }
	octal := strings.HasPrefix(text, "0") && text != "0"
	if text == "" || octal || !isAlnum(text[0]) || !all(text, plain) {
		return fmt.Sprintf("%+q", text)
	}
	return text
}

// Text returns a file with the keys that differ from Default.
func (c Config) Text() string {
	d := Default()
	defaults := map[string]string{}
	for key, f := range schema(&d).leaves("") {
		defaults[key] = f.text()
	}
	var b strings.Builder
	var open []string // the sections that the last line is in
	for key, f := range schema(&c).leaves("") {
		text := f.text()
		if text == defaults[key] {
			continue
		}
		path := strings.Split(key, ".")
		sections := path[:len(path)-1]
		for depth, name := range sections {
			if depth >= len(open) || open[depth] != name {
				open = nil
				fmt.Fprintf(&b, "%s%s:\n", strings.Repeat("  ", depth), name)
			}
		}
		open = sections
		fmt.Fprintf(&b, "%s%s: %s\n", strings.Repeat("  ", len(sections)), path[len(sections)], text)
	}
	return b.String()
}
