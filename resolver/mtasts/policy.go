package mtasts

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mta-sts-daemon/resolver/printable"
)

const (
	policyVersion = "STSv1"
	bom           = "\ufeff"

	// MaxPolicyLen is the maximum length of a policy in bytes, as RFC 8461 section
	// 3.3 suggests.
	MaxPolicyLen = 64 << 10

	// MaxMaxAge is the maximum of max_age (RFC 8461 section 3.2). Higher values
	// count as this one.
	MaxMaxAge = 31557600 * time.Second

	maxAgeDigits = 10
)

// Mode is a policy's mode: how a sender treats an MX host that fails validation
// (RFC 8461 section 5). The zero Mode is invalid.
type Mode uint8

const (
	ModeNone    Mode = iota + 1 // as if the domain had no policy
	ModeTesting                 // deliver nevertheless, and report
	ModeEnforce                 // do not deliver
)

// String returns the mode as policies write it.
func (m Mode) String() string {
	switch m {
	case ModeNone:
		return "none"
	case ModeTesting:
		return "testing"
	case ModeEnforce:
		return "enforce"
	}
	return "invalid"
}

// ParseMode parses a mode as policies write it.
func ParseMode(s string) (Mode, bool) {
	for _, m := range []Mode{ModeNone, ModeTesting, ModeEnforce} {
		if s == m.String() {
			return m, true
		}
	}
	return 0, false
}

// Policy is a valid policy (RFC 8461 section 3.2). Only ParsePolicy makes one.
type Policy struct {
	Mode Mode
	// MaxAge counts from the fetch, 0 to MaxMaxAge.
	MaxAge time.Duration
	// MX are the usable MX host patterns in policy order, without duplicates:
	// host names in lower case without a trailing dot, or "*." and one. Never
	// empty unless Mode is ModeNone.
	MX []string
	// Text is the policy as published, with unknown keys.
	Text string
}

// ParsePolicy parses the body of a policy host's response. The error is a
// *SyntaxError with the line. ParsePolicy guesses and repairs nothing: a misread
// policy would defer mail or leave it unprotected.
func ParsePolicy(text string) (Policy, error) {
	if len(text) > MaxPolicyLen {
		return Policy{}, policyError(0, "it is longer than %d bytes", MaxPolicyLen)
	}
	p := Policy{Text: text}
	var version, maxAge bool
	patterns := map[string]bool{}
	for n, line := range lines(text) {
		if line == "" {
			continue
		}
		key, value, err := parseLine(n, line)
		if err != nil {
			return Policy{}, err
		}
		switch {
		case key == "version" && !version:
			if value != policyVersion {
				return Policy{}, policyError(n, "version is %s, not %s", printable.Quote(value), policyVersion)
			}
			version = true
		case key == "mode" && p.Mode == 0:
			mode, ok := ParseMode(value)
			if !ok {
				return Policy{}, policyError(n, "mode %s is none of enforce, testing and none", printable.Quote(value))
			}
			p.Mode = mode
		case key == "max_age" && !maxAge:
			if p.MaxAge, err = parseMaxAge(n, value); err != nil {
				return Policy{}, err
			}
			maxAge = true
		case key == "mx":
			if err := p.addMX(n, value, patterns); err != nil {
				return Policy{}, err
			}
		}
	}
	switch {
	case !version:
		return Policy{}, policyError(0, "it has no version")
	case p.Mode == 0:
		return Policy{}, policyError(0, "it has no mode")
	case !maxAge:
		return Policy{}, policyError(0, "it has no max_age")
	case len(p.MX) == 0 && p.Mode != ModeNone:
		return Policy{}, policyError(0, "it has no mx that a mail server could match")
	}
	return p, nil
}

// Lines yields the non-blank lines of Text in order, without byte order mark, line
// ends and trailing blanks.
func (p Policy) Lines(yield func(line string) bool) {
	for _, line := range lines(p.Text) {
		if line != "" && !yield(line) {
			return
		}
	}
}

// lines yields the number, from 1, and the text of each line without its line end
// and trailing blanks. A CR outside of CRLF stays in the text, and parseLine refuses it.
func lines(text string) func(yield func(int, string) bool) {
	return func(yield func(int, string) bool) {
		n := 0
		for line := range strings.Lines(strings.TrimPrefix(text, bom)) {
			n++
			if ended, ok := strings.CutSuffix(line, "\n"); ok {
				line = strings.TrimSuffix(ended, "\r")
			}
			if !yield(n, strings.TrimRight(line, wsp)) {
				return
			}
		}
	}
}

// parseLine parses sts-policy-field: a key, ":", blanks and a value. A line of any
// other form makes the whole policy invalid: it may be a web page, an unfinished
// template or a corrupt policy.
func parseLine(n int, line string) (key, value string, err error) {
	key, value, ok := strings.Cut(line, ":")
	value = strings.TrimLeft(value, wsp)
	switch {
	case !ok || !isName(key):
		return "", "", policyError(n, "%s is not \"key: value\"", printable.Quote(line))
	case strings.ContainsFunc(value, isControl):
		return "", "", policyError(n, "the value of %s has control characters", key)
	case !utf8.ValidString(value):
		return "", "", policyError(n, "the value of %s is not UTF-8", key)
	}
	return key, value, nil
}

// isControl reports whether r is CTL of RFC 5234 appendix B.1.
func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// parseMaxAge parses sts-policy-max-age-value: 1 to 10 digits.
func parseMaxAge(n int, value string) (time.Duration, error) {
	if value == "" || len(value) > maxAgeDigits || strings.Trim(value, "0123456789") != "" {
		return 0, policyError(n, "max_age %s is not 1 to %d digits", printable.Quote(value), maxAgeDigits)
	}
	seconds, err := strconv.ParseInt(value, 10, 64)
	if err != nil {
		return 0, policyError(n, "max_age %s: %v", printable.Quote(value), err)
	}
	// In seconds, because ten digits of them overflow a Duration.
	return time.Duration(min(seconds, int64(MaxMaxAge/time.Second))) * time.Second, nil
}

// addMX parses sts-policy-mx-value and adds the pattern. Two kinds of values are
// valid but not added: addresses, which no MX host name can match, and single
// labels, because "hostname" and "nexthop" are keywords of Postfix.
func (p *Policy) addMX(n int, value string, seen map[string]bool) error {
	suffix, wildcard := strings.CutPrefix(value, "*.")
	host, ok := canonicalHost(suffix)
	switch {
	case isIPv6(value):
		return nil
	case !ok:
		return policyError(n, "mx %s is neither a host name nor \"*.\" and a host name", printable.Quote(value))
	case endsInNumber(host):
		return nil
	case !wildcard && strings.IndexByte(host, '.') < 0:
		return nil
	}
	// This usually shares the memory of Text.
	pattern := strings.ToLower(strings.TrimSuffix(value, "."))
	if !seen[pattern] {
		seen[pattern] = true
		p.MX = append(p.MX, pattern)
	}
	return nil
}

func isIPv6(s string) bool {
	if strings.IndexByte(s, ':') < 0 {
		return false // ParseAddr makes an error of every host name
	}
	addr, err := netip.ParseAddr(s)
	return err == nil && addr.Is6() && addr.Zone() == ""
}

func policyError(line int, format string, args ...any) *SyntaxError {
	return &SyntaxError{What: "policy", Line: line, Reason: fmt.Sprintf(format, args...)}
}
