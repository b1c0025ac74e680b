package config

import (
	"errors"
	"iter"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// variablePrefix begins the name of every environment variable that sets a key.
const variablePrefix = "MTA_STS_"

// variableOf returns the name of the environment variable that sets a key.
func variableOf(key string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "_"))
}

// Variables returns, each sorted, the names in environ that set a key, and a message for
// each other name that begins with MTA_STS_. Values are never repeated.
func Variables(environ []string) (set, unknown []string) {
	c := Default()
	names := map[string]bool{}
	for key := range schema(&c).leaves("") {
		names[variableOf(key)] = true
	}
	for _, variable := range environ {
		name, _, _ := strings.Cut(variable, "=")
		switch {
		case !strings.HasPrefix(name, variablePrefix):
		case names[name]:
			set = append(set, name)
		default:
			unknown = append(unknown, join("", name)+" sets no key and is ignored"+suggest(name[len(variablePrefix):], names))
		}
	}
	slices.Sort(set)
	slices.Sort(unknown)
	return set, unknown
}

// suggest names the variable that an unknown one, without its prefix, was meant to be.
func suggest(unknown string, names map[string]bool) string {
	known := make([]string, 0, len(names))
	for name := range names {
		known = append(known, name[len(variablePrefix):])
	}
	slices.Sort(known)
	best := nearest(unknown, known)
	if best == "" {
		return ""
	}
	return "; did you mean " + variablePrefix + best + "?"
}

// setFrom sets the keys of c that environ has variables for. Its error joins an *Error
// for each fault, with the variable in place of the file.
func (c *Config) setFrom(environ []string) error {
	values := map[string]string{}
	for _, variable := range environ {
		if name, value, ok := strings.Cut(variable, "="); ok {
			values[name] = value
		}
	}
	var errs []error
	for key, f := range schema(c).leaves("") {
		name := variableOf(key)
		value, ok := values[name]
		if !ok {
			continue
		}
		errs = append(errs, setLeaf(&report{file: name}, key, f, value))
	}
	return errors.Join(errs...)
}

// Set sets a key, such as dns.servers, to a value as its environment variable has it.
func (c *Config) Set(key, value string) error {
	for k, f := range schema(c).leaves("") {
		if k == key {
			return setLeaf(&report{}, key, f, value)
		}
	}
	return &Error{Key: key, Reason: "unknown key"}
}

func setLeaf(r *report, key string, f leaf, value string) error {
	if _, reason := unreadable([]byte(value)); reason != "" {
		r.fail(0, key, "%s", reason)
	} else if n := f.variable(r, value); n != nil {
		decodeChild(r, key, n, f)
	}
	return r.err()
}

// A leaf is a field of the schema other than a section.
type leaf interface {
	field
	// variable turns the text of an environment variable into a node as a file would have
	// it. It returns nil if the text is empty YAML or a fault was reported.
	variable(r *report, text string) *yaml.Node
}

// leaves yields the keys that have values, and their fields.
func (s section) leaves(parent string) iter.Seq2[string, leaf] {
	return func(yield func(string, leaf) bool) {
		for _, e := range s {
			key, f := join(parent, e.key), e.field
			if r, ok := f.(needsRestart); ok {
				f = r.field
			}
			below, ok := f.(section)
			if !ok {
				if !yield(key, f.(leaf)) {
					return
				}
				continue
			}
			for key, f := range below.leaves(key) {
				if !yield(key, f) {
					return
				}
			}
		}
	}
}

// variable returns one value as it stands: nothing in it is YAML.
func (value[T]) variable(_ *report, text string) *yaml.Node { return oneValue(text) }

// variable splits a list at its commas, unless items are mappings: then it is YAML.
func (list[T]) variable(r *report, text string) *yaml.Node {
	if strings.Contains(text, "{") {
		return readYAML(r, []byte(text))
	}
	n := &yaml.Node{Kind: yaml.SequenceNode}
	if strings.TrimSpace(text) == "" {
		return n
	}
	for item := range strings.SplitSeq(text, ",") {
		n.Content = append(n.Content, oneValue(strings.TrimSpace(item)))
	}
	return n
}

// variable reads a mapping as YAML.
func (table[K, V]) variable(r *report, text string) *yaml.Node { return readYAML(r, []byte(text)) }

func oneValue(text string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Value: text} }
