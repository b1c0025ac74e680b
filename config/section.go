package config

import (
	"iter"
	"strings"

	"gopkg.in/yaml.v3"
)

// A section is a field with a mapping whose keys are known.
type section []entry

type entry struct {
	key   string
	about string // as in Key.About, but indented like the code around it
	field field
}

func (s section) decode(r *report, key string, n *yaml.Node) {
	lines := map[string]int{}
	for name, child := range mapping(r, key, n) {
		full := join(key, name.Value)
		f := s.find(name.Value)
		if f == nil {
			r.fail(name.Line, full, "unknown key%s", s.suggest(key, name.Value))
			continue
		}
		if first, twice := lines[name.Value]; twice {
			r.fail(name.Line, full, "given twice, first on line %d", first)
			continue
		}
		lines[name.Value] = name.Line
		decodeChild(r, full, child, f)
	}
}

func (s section) text() string {
	items := make([]string, len(s))
	for i, e := range s {
		items[i] = e.key + ": " + e.field.text()
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func (s section) values() string {
	items := make([]string, len(s))
	for i, e := range s {
		items[i] = e.key + ": " + e.field.values()
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func (s section) find(key string) field {
	for _, e := range s {
		if e.key == key {
			return e.field
		}
	}
	return nil
}

// suggest names the key of the section that an unknown one was meant to be.
func (s section) suggest(parent, unknown string) string {
	keys := make([]string, len(s))
	for i, e := range s {
		keys[i] = e.key
	}
	best := nearest(unknown, keys)
	if best == "" {
		return ""
	}
	return "; did you mean " + join(parent, best) + "?"
}

// nearest returns the word that differs from unknown by a typing error or two, or "".
func nearest(unknown string, words []string) string {
	const maxTypos = 2
	best, typos := "", maxTypos+1
	for _, word := range words {
		if strings.EqualFold(unknown, word) {
			return word
		}
		if n := editDistance(unknown, word); n < typos && n < len(word)/2 {
			best, typos = word, n
		}
	}
	return best
}

// editDistance counts the bytes of a key in the file that were added, left out, replaced
// or swapped with the next one (optimal string alignment). It gives up on keys that are
// far too long.
func editDistance(unknown, known string) int {
	if len(unknown) > 2*len(known) {
		return len(unknown)
	}
	// The rows of the table of distances between beginnings of the two keys.
	before, last, row := make([]int, len(known)+1), make([]int, len(known)+1), make([]int, len(known)+1)
	for j := range last {
		last[j] = j
	}
	for i := range len(unknown) {
		row[0] = i + 1
		for j := range len(known) {
			row[j+1] = min(last[j+1]+1, row[j]+1, last[j]+1)
			if unknown[i] == known[j] {
				row[j+1] = last[j]
			}
			if i > 0 && j > 0 && unknown[i] == known[j-1] && unknown[i-1] == known[j] {
				row[j+1] = min(row[j+1], before[j-1]+1)
			}
		}
		before, last, row = last, row, before
	}
	return last[len(known)]
}

// mapping yields the keys of n and their values. It reports a node that is not a
// mapping, and keys that are not plain words.
func mapping(r *report, key string, n *yaml.Node) iter.Seq2[*yaml.Node, *yaml.Node] {
	return func(yield func(name, child *yaml.Node) bool) {
		if n.Kind != yaml.MappingNode {
			r.fail(n.Line, key, "%s, but keys with values are wanted", describe(n))
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i]
			if name.Kind != yaml.ScalarNode || isNull(name) {
				r.fail(name.Line, key, "%s where a key is wanted", describe(name))
				continue
			}
			if !yield(name, n.Content[i+1]) {
				return
			}
		}
	}
}

func isNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Tag == "!!null"
}

// describe says in a message what n is.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.MappingNode:
		return "keys with values"
	case isNull(n):
		return "nothing"
	default:
		return quote(n.Value)
	}
}

// maxKeyLen is the longest key that messages repeat as a whole, in bytes.
const maxKeyLen = 64

// join returns the dotted name of the key name in the section parent. It quotes a
// name that is long or has other characters than a key, so that messages stay
// readable.
func join(parent, key string) string {
	if key == "" || len(key) > maxKeyLen || !all(key, isKeyByte) {
		key = quote(key)
	}
	if parent == "" {
		return key
	}
	return parent + "." + key
}

func isKeyByte(c byte) bool {
	return isAlnum(c) || c == '_' || c == '-' || c == '.'
}
