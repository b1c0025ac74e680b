package config

import (
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// unavailable are the keys whose feature this version lacks. A file may set
// them only to what this version does anyway, so that nothing an operator asks
// for is silently left out. Default does not heed it.
//
// A feature that comes removes its line here; nothing else has to change.
var unavailable = map[string]exception{
	"admin.socket":   only(""),
	"metrics.listen": only(""),
}

// An exception says which values a key whose feature is not available may have.
type exception struct {
	accepts func(text string) bool
	hint    string // ends the message
}

// only accepts these values; "[]" and "{}" are an empty list and mapping.
func only(texts ...string) exception {
	e := exception{accepts: func(text string) bool { return slices.Contains(texts, text) }}
	if words := strings.Join(texts, " or "); isWords(words) {
		e.hint = ", only " + words
	}
	return e
}

// allBut accepts all values but those that begin with prefix.
func allBut(prefix string) exception {
	return exception{
		accepts: func(text string) bool { return !strings.HasPrefix(text, prefix) },
		hint:    " for " + prefix,
	}
}

func isWords(s string) bool {
	return s != "" && all(s, func(c byte) bool { return isAlnum(c) || c == ' ' })
}

// refuseUnavailable reports that n, the valid value of key, asks for a feature
// that is not available.
func (r *report) refuseUnavailable(key string, n *yaml.Node) {
	e, ok := r.unavailable[key]
	if !ok {
		return
	}
	for text, line := range texts(n) {
		if !e.accepts(text) {
			r.fail(line, key, "not available in this version%s", e.hint)
			return
		}
	}
}

// texts yields the texts and lines that an exception is asked about: a scalar,
// or each item of a list.
func texts(n *yaml.Node) func(yield func(string, int) bool) {
	return func(yield func(string, int) bool) {
		switch {
		case n.Kind == yaml.ScalarNode:
			yield(n.Value, n.Line)
		case n.Kind == yaml.MappingNode && len(n.Content) == 0:
			yield("{}", n.Line)
		case n.Kind == yaml.MappingNode:
			yield("{...}", n.Line)
		case len(n.Content) == 0:
			yield("[]", n.Line)
		default:
			for _, item := range n.Content {
				for text, line := range texts(item) {
					if !yield(text, line) {
						return
					}
				}
			}
		}
	}
}
