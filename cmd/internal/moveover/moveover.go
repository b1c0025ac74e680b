// Package moveover translates the configuration of postfix-tlspol and of
// postfix-mta-sts-resolver into the daemon's own.
package moveover

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/printable"
)

// A Translation is a configuration of ours and remarks on the other one.
type Translation struct {
	// Program is the one whose configuration was read.
	Program string
	Config  config.Config
	// Notes name the settings that were not taken over, with the reason, a line each.
	Notes []string
}

// A setting is one value of the other file.
type setting struct {
	key   string // dotted
	value string
	line  int
}

// Translate reads the text of the other program's file.
func Translate(text []byte) (Translation, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return Translation{}, fmt.Errorf("not YAML: %w", err)
	}
	var settings []setting
	if len(root.Content) > 0 {
		var err error
		if settings, err = flatten("", root.Content[0], nil); err != nil {
			return Translation{}, err
		}
	}
	r := &reader{c: config.Default(), settings: settings}
	switch {
	case r.has(tlspolSections...):
		r.program = "postfix-tlspol"
		tlspol(r)
	case r.has(resolverSections...):
		r.program = "postfix-mta-sts-resolver"
		stsResolver(r)
	default:
		return Translation{}, errors.New("this is a configuration neither of postfix-tlspol nor of postfix-mta-sts-resolver")
	}
	for _, s := range r.settings {
		r.note(s, "%s does not document this key", r.program)
	}
	slices.SortFunc(r.notes, func(a, b note) int {
		return cmp.Or(cmp.Compare(a.line, b.line), strings.Compare(a.text, b.text))
	})
	t := Translation{Program: r.program, Config: r.c}
	for _, n := range r.notes {
		t.Notes = append(t.Notes, printable.Line(n.text, maxNote))
	}
	return t, nil
}

// maxNote is the longest note, in bytes.
const maxNote = 400

// Text returns the translation as a file: the notes are comments.
func (t Translation) Text(file string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "# From %s, a configuration of %s.\n", printable.Line(file, maxNote), t.Program)
	for _, n := range t.Notes {
		fmt.Fprintf(&b, "# %s\n", n)
	}
	text := t.Config.Text()
	if text == "" {
		text = "# The defaults apply.\n"
	}
	return b.String() + text
}

// flatten returns the values below n. Those of a list are one value.
func flatten(parent string, n *yaml.Node, to []setting) ([]setting, error) {
	switch n.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := n.Content[i].Value
			if parent != "" {
				key = parent + "." + key
			}
			var err error
			if to, err = flatten(key, n.Content[i+1], to); err != nil {
				return nil, err
			}
		}
		return to, nil
	case yaml.ScalarNode:
		value := n.Value
		if n.Tag == "!!null" {
			value = ""
		}
		return append(to, setting{parent, value, n.Line}), nil
	case yaml.SequenceNode:
		return append(to, setting{parent, "", n.Line}), nil
	}
	return nil, fmt.Errorf("line %d: YAML aliases are not supported", n.Line)
}

// A reader takes the settings one by one; those that are left are unknown.
type reader struct {
	program  string
	c        config.Config
	settings []setting
	notes    []note
}

type note struct {
	line int
	text string
}

// has reports whether a setting is one of the sections, or in one.
func (r *reader) has(sections ...string) bool {
	return slices.ContainsFunc(r.settings, func(s setting) bool {
		first, _, _ := strings.Cut(s.key, ".")
		return slices.Contains(sections, first)
	})
}

// take removes the setting with that key.
func (r *reader) take(key string) (s setting, ok bool) {
	i := slices.IndexFunc(r.settings, func(s setting) bool { return s.key == key })
	if i < 0 {
		return setting{}, false
	}
	s = r.settings[i]
	r.settings = slices.Delete(r.settings, i, i+1)
	return s, true
}

// takeBelow removes the settings below a section.
func (r *reader) takeBelow(section string) (taken []setting) {
	r.settings = slices.DeleteFunc(r.settings, func(s setting) bool {
		below := strings.HasPrefix(s.key, section+".")
		if below {
			taken = append(taken, s)
		}
		return below
	})
	return taken
}

func (r *reader) note(s setting, format string, args ...any) {
	r.notes = append(r.notes, note{s.line, fmt.Sprintf("line %d, %s: ", s.line, s.key) + fmt.Sprintf(format, args...)})
}

// set sets a key of ours, or notes why it cannot be.
func (r *reader) set(s setting, key, value string) {
	changed := r.c
	changed.Maps = maps.Clone(r.c.Maps)
	if err := changed.Set(key, value); err != nil {
		r.note(s, "not taken over; %v", err)
		return
	}
	r.c = changed
}

// noCounterpart notes those of the settings that are there.
func (r *reader) noCounterpart(reasons map[string]string) {
	for key, reason := range reasons {
		if s, ok := r.take(key); ok {
			r.note(s, "%s", reason)
		}
	}
}

// isTrue reads a boolean of YAML 1.1.
func isTrue(value string) bool {
	return slices.Contains([]string{"true", "yes", "on", "y", "1"}, strings.ToLower(value))
}
