package config

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A field binds a key of the file to its place in a Config.
type field interface {
	// decode sets the place from n and reports errors of n.
	decode(r *report, key string, n *yaml.Node)
	// text returns the value in the place in the file's syntax, on one line.
	text() string
	// values describes the accepted values in a few words. The key's prose
	// explains the meaning of an empty value.
	values() string
}

// A kind is a type of scalar. Whether it is quoted makes no difference.
type kind[T any] struct {
	values string // the accepted values, in a few words
	parse  func(text string) (T, error)
	valid  func(T) error
	format func(T) string // what parse takes; nil where fmt.Sprint does it
}

func (k kind[T]) text(v T) string {
	if k.format == nil {
		return fmt.Sprint(v)
	}
	return k.format(v)
}

// at binds the kind to a place.
func (k kind[T]) at(place *T) field { return value[T]{place, k} }

// optional is k or empty, which is T's zero value.
func optional[T comparable](k kind[T]) kind[T] {
	var zero T
	return kind[T]{
		values: k.values,
		parse: func(text string) (T, error) {
			if text == "" {
				return zero, nil
			}
			return k.parse(text)
		},
		valid: func(v T) error {
			if v == zero {
				return nil
			}
			return k.valid(v)
		},
		format: func(v T) string {
			if v == zero {
				return ""
			}
			return k.text(v)
		},
	}
}

// A value is a field with a scalar.
type value[T any] struct {
	place *T
	kind  kind[T]
}

func (v value[T]) decode(r *report, key string, n *yaml.Node) {
	if n.Kind != yaml.ScalarNode {
		r.fail(n.Line, key, "%s, but one value is wanted", describe(n))
		return
	}
	parsed, err := v.kind.parse(n.Value)
	if err == nil {
		err = v.kind.valid(parsed)
	}
	if err != nil {
		r.fail(n.Line, key, "%v", err)
		return
	}
	*v.place = parsed
}

func (v value[T]) text() string { return scalar(v.kind.text(*v.place)) }

func (v value[T]) values() string { return v.kind.values }

// A list is a field with a sequence; the file's replaces the default's.
type list[T any] struct {
	place *[]T
	item  func(*T) field
}

func (l list[T]) decode(r *report, key string, n *yaml.Node) {
	if n.Kind != yaml.SequenceNode {
		r.fail(n.Line, key, "%s, but a list such as [a, b] is wanted", describe(n))
		return
	}
	var items []T // nil where empty, as in Default
	for _, c := range n.Content {
		var item T
		decodeChild(r, key, c, l.item(&item))
		items = append(items, item)
	}
	*l.place = items
}

func (l list[T]) text() string {
	items := make([]string, len(*l.place))
	for i := range *l.place {
		items[i] = l.item(&(*l.place)[i]).text()
	}
	return "[" + strings.Join(items, ", ") + "]"
}

func (l list[T]) values() string {
	var item T
	return "a list of " + l.item(&item).values()
}

// A table is a field with a mapping whose keys are the operator's; the file's
// entries are added to the default's.
type table[K comparable, V any] struct {
	place *map[K]V
	key   kind[K]
	item  func(*V) field
}

func (t table[K, V]) decode(r *report, key string, n *yaml.Node) {
	lines := map[K]int{}
	for name, child := range mapping(r, key, n) {
		k, err := t.key.parse(name.Value)
		if err == nil {
			err = t.key.valid(k)
		}
		if err != nil {
			r.fail(name.Line, key, "%v", err)
			continue
		}
		full := join(key, name.Value)
		if first, twice := lines[k]; twice {
			r.fail(name.Line, full, "given twice, first on line %d", first)
			continue
		}
		lines[k] = name.Line
		var v V
		decodeChild(r, full, child, t.item(&v))
		if *t.place == nil {
			*t.place = map[K]V{}
		}
		(*t.place)[k] = v
	}
}

func (t table[K, V]) names() []K {
	return slices.SortedFunc(maps.Keys(*t.place), func(a, b K) int {
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
	})
}

func (t table[K, V]) text() string {
	var items []string
	for _, k := range t.names() {
		v := (*t.place)[k]
		items = append(items, scalar(t.key.text(k))+": "+t.item(&v).text())
	}
	return "{" + strings.Join(items, ", ") + "}"
}

func (t table[K, V]) values() string {
	var item V
	return t.key.values + ": " + t.item(&item).values()
}

// needsRestart is a field that a reload does not apply.
type needsRestart struct{ field }

// decodeChild decodes n unless it has no value at all: "dns:" with every line
// below it commented out, most likely, where neither the default nor an empty
// value is sure to be meant.
func decodeChild(r *report, key string, n *yaml.Node, f field) {
	if isNull(n) {
		r.fail(n.Line, key, "no value; leave the key out to have its default")
		return
	}
	f.decode(r, key, n)
}
