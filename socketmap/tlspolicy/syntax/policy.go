package syntax

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// NotFound is the override that answers as for a domain without a policy.
const NotFound = "notfound"

// maxPolicyLen limits a policy, in bytes: every map protocol can carry it.
const maxPolicyLen = 1000

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

// attributes are the attributes of a policy. Each function returns the fault of a
// non-empty value, or "". Postfix ignores case in level, name and value.
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

// CheckPolicy checks a line of Postfix's TLS policy table (postconf(5),
// smtp_tls_policy_maps) without looking at the files that it names. Postfix
// defers the mail of a domain whose line it does not understand. The error is one
// line of printable ASCII.
func CheckPolicy(policy string) error {
	switch {
	case len(policy) > maxPolicyLen:
		return fmt.Errorf("a policy of more than %d bytes", maxPolicyLen)
	case strings.ContainsFunc(policy, isNotPrintable):
		return fmt.Errorf("%s is not of printable ASCII alone", quote(policy))
	case strings.ContainsAny(policy, "{}"):
		return fmt.Errorf("braces are not supported in a policy; write name=value")
	}
	words := split(policy)
	if len(words) == 0 {
		return fmt.Errorf("empty; write %s or a TLS policy such as encrypt", NotFound)
	}
	level := strings.ToLower(words[0])
	if _, ok := levels[level]; !ok {
		return fmt.Errorf("%s is neither %s nor one of Postfix's TLS levels %s",
			quote(words[0]), NotFound, sorted(levels))
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

// Level returns the TLS security level of a policy in lower case; "" if it is empty.
func Level(policy string) string {
	for _, level := range split(policy) {
		return strings.ToLower(level)
	}
	return ""
}

// split returns the level and the attributes.
func split(policy string) []string {
	return strings.FieldsFunc(policy, func(c rune) bool { return c == ' ' || c == ',' })
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

func isNotPrintable(c rune) bool { return c < ' ' || c > '~' }

// IsHostName reports whether s may be a host name, of any number of labels, and does
// not look like an IPv4 address.
func IsHostName(s string) bool {
	const maxLen = 253 // RFC 1035 section 2.3.4, without the root dot
	s = strings.TrimSuffix(s, ".")
	if len(s) > maxLen {
		return false
	}
	last := ""
	for last = range strings.SplitSeq(s, ".") {
		if last == "" || last[0] == '-' || strings.ContainsFunc(last, isNoLabel) {
			return false
		}
	}
	return strings.Trim(last, "0123456789") != ""
}

func isNoLabel(c rune) bool {
	return !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_')
}

// maxQuoted limits quoted text in a message, in bytes.
const maxQuoted = 64

// quote makes text safe and short enough for a message.
func quote(s string) string {
	if len(s) > maxQuoted {
		return fmt.Sprintf("%+q...", s[:maxQuoted])
	}
	return fmt.Sprintf("%+q", s)
}
