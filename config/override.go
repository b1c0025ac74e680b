package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"mta-sts-daemon/resolver/mtasts"
)

// OverrideKey says which policy domains an override is for. It is comparable.
type OverrideKey struct {
	Domain mtasts.Domain

	// Subdomains is set where the key is for every name below Domain and not
	// for Domain itself; the file writes ".example.com".
	Subdomains bool
}

// String returns the key in the file's form.
func (k OverrideKey) String() string {
	if k.Subdomains {
		return "." + k.Domain.String()
	}
	return k.Domain.String()
}

// Override is the answer that the operator gives in place of the daemon's. One
// of its fields is set.
type Override struct {
	// NotFound answers as for a domain without a policy.
	NotFound bool

	// Policy is a line of Postfix's TLS policy table, "secure match=...".
	Policy string
}

// notFound is the override that answers as for a domain without a policy.
const notFound = "notfound"

// maxPolicyLen bounds an override, in octets: every map protocol can carry it.
const maxPolicyLen = 1000

// overrideKey is a policy domain, or its subdomains after a dot.
var overrideKey = kind[OverrideKey]{
	values: "DOMAIN or .DOMAIN",
	parse: func(text string) (OverrideKey, error) {
		name, subdomains := strings.CutPrefix(text, ".")
		domain, err := mtasts.ParseDomain(name)
		if err != nil {
			return OverrideKey{}, fmt.Errorf("%s is neither a domain nor a dot and a domain", quote(text))
		}
		return OverrideKey{domain, subdomains}, nil
	},
	valid: func(k OverrideKey) error {
		if k.Domain.IsZero() {
			return fmt.Errorf("a domain is missing")
		}
		return nil
	},
}

// override is notfound or a line of Postfix's TLS policy table.
var override = kind[Override]{
	values: notFound + " or a TLS policy",
	format: func(o Override) string {
		if o.NotFound {
			return notFound
		}
		return o.Policy
	},
	parse: func(text string) (Override, error) {
		if text == notFound {
			return Override{NotFound: true}, nil
		}
		return Override{Policy: text}, nil
	},
	valid: func(o Override) error {
		if !o.NotFound {
			return validPolicy(o.Policy)
		}
		if o.Policy != "" {
			return fmt.Errorf("both %s and a policy", notFound)
		}
		return nil
	},
}

// levels are Postfix's TLS security levels and the attributes that go with
// one level and not with another.
var levels = map[string][]string{
	"none":        nil,
	"may":         nil,
	"encrypt":     nil,
	"dane":        nil,
	"dane-only":   nil,
	"fingerprint": {"match"},
	"verify":      {"match", "tafile"},
	"secure":      {"match", "tafile"},
}

// attributes are those that a policy may have, and what is wrong with a value
// that is not empty. Postfix takes case for nothing in level, name and value.
var attributes = map[string]func(value string) string{
	"ciphers":          oneOf("null", "export", "low", "medium", "high"),
	"connection_reuse": oneOf("yes", "no"),
	"enable_rpk":       oneOf("yes", "no"),
	"exclude":          anything,
	"match":            anything, // and validMatch, which needs the level
	"protocols":        validProtocols,
	"servername":       validServerName,
	"tafile":           validTrustFile,
}

// repeatable are the attributes that Postfix takes more than once; a second of
// another makes it defer.
var repeatable = []string{"match", "tafile"}

// validPolicy checks a line of Postfix's TLS policy table (postconf(5),
// smtp_tls_policy_maps) as far as the line itself tells. Postfix defers the
// mail of a domain whose line it does not understand.
func validPolicy(policy string) error {
	switch {
	case len(policy) > maxPolicyLen:
		return fmt.Errorf("a policy of more than %d octets", maxPolicyLen)
	case !all(policy, isPrintable):
		return fmt.Errorf("%s is not of printable ASCII alone", quote(policy))
	case strings.ContainsAny(policy, "{}"):
		return fmt.Errorf("braces are not supported in a policy; write name=value")
	}
	words := strings.FieldsFunc(policy, func(c rune) bool { return c == ' ' || c == ',' })
	if len(words) == 0 {
		return fmt.Errorf("empty; write %s or a TLS policy such as encrypt", notFound)
	}
	level := strings.ToLower(words[0])
	if _, ok := levels[level]; !ok {
		return fmt.Errorf("%s is neither %s nor one of Postfix's TLS levels %s",
			quote(words[0]), notFound, sorted(levels))
	}
	seen := map[string]bool{}
	for _, word := range words[1:] {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("%s is not an attribute name=value", quote(word))
		}
		name = strings.ToLower(name)
		if err := validAttribute(level, name, value); err != nil {
			return err
		}
		if seen[name] && !slices.Contains(repeatable, name) {
			return fmt.Errorf("attribute %s given twice", name)
		}
		seen[name] = true
	}
	return nil
}

func validAttribute(level, name, value string) error {
	if strings.HasPrefix(name, "policy_") || name == "mx_host_pattern" {
		return fmt.Errorf("attribute %s is for reports on found policies and cannot be set", quote(name))
	}
	valid, ok := attributes[name]
	if !ok {
		return fmt.Errorf("attribute %s is not one of %s", quote(name), sorted(attributes))
	}
	if level == "none" || slices.Contains(repeatable, name) && !slices.Contains(levels[level], name) {
		return fmt.Errorf("attribute %s has no place at level %s", name, level)
	}
	if value == "" {
		return fmt.Errorf("attribute %s is empty", name)
	}
	reason := valid(value)
	if name == "match" {
		reason = validMatch(level, value)
	}
	if reason != "" {
		return fmt.Errorf("attribute %s: %s", name, reason)
	}
	return nil
}

func sorted[V any](m map[string]V) string {
	return strings.Join(slices.Sorted(maps.Keys(m)), ", ")
}
