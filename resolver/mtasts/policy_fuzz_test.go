package mtasts_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
)

// Property: an accepted policy is within the limits of RFC 8461 and its patterns
// are canonical. Its canonical form and its lines, joined again, parse to an equal
// policy.
func FuzzParsePolicy(f *testing.F) {
	for _, name := range glob(f, "testdata/policies/*.txt") {
		f.Add(readFile(f, name))
	}
	f.Fuzz(func(t *testing.T, in string) {
		p, err := mtasts.ParsePolicy(in)
		if err != nil {
			if syntax := new(mtasts.SyntaxError); !errors.As(err, &syntax) || syntax.What != "policy" {
				t.Errorf("error %v is no *SyntaxError about a policy", err)
			}
			checkPrintable(t, err)
			return
		}
		if p.Text != in {
			t.Errorf("Text = %+q, want what was published", p.Text)
		}
		if p.MaxAge < 0 || p.MaxAge > mtasts.MaxMaxAge || p.MaxAge%time.Second != 0 {
			t.Errorf("max_age = %v", p.MaxAge)
		}
		checkPatterns(t, p)
		checkLines(t, p)
		checkEqual(t, p, formatPolicy(p))
		checkEqual(t, p, strings.Join(slices.Collect(p.Lines), "\r\n"))
	})
}

func checkPatterns(t *testing.T, p mtasts.Policy) {
	t.Helper()
	if len(p.MX) == 0 && p.Mode != mtasts.ModeNone {
		t.Errorf("no mx in mode %s", p.Mode)
	}
	seen := map[string]bool{}
	for _, pattern := range p.MX {
		host, wildcard := strings.CutPrefix(pattern, "*.")
		if !isCanonicalHost(host) || !wildcard && !strings.Contains(host, ".") {
			t.Errorf("mx %+q is not canonical", pattern)
		}
		if seen[pattern] {
			t.Errorf("mx %s twice", pattern)
		}
		seen[pattern] = true
	}
}

func checkLines(t *testing.T, p mtasts.Policy) {
	t.Helper()
	for line := range p.Lines {
		if line == "" || strings.Trim(line, " \t\r\n\ufeff") == "" || strings.ContainsAny(line, "\r\n\x00\x7f") ||
			strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
			t.Errorf("Lines yields %+q", line)
		}
	}
}

// checkEqual checks that text parses to p, except for Policy.Text.
func checkEqual(t *testing.T, p mtasts.Policy, text string) {
	t.Helper()
	if len(text) > mtasts.MaxPolicyLen {
		return // CRLF and the blank after the colon made it too long
	}
	again, err := mtasts.ParsePolicy(text)
	if err != nil {
		t.Errorf("%+q was accepted, but %+q is not: %v", p.Text, text, err)
		return
	}
	again.Text = p.Text
	if diff := cmp.Diff(p, again); diff != "" {
		t.Errorf("%+q read again as %+q: -first +second:\n%s", p.Text, text, diff)
	}
}

// formatPolicy writes the canonical form.
func formatPolicy(p mtasts.Policy) string {
	var b strings.Builder
	fmt.Fprintf(&b, "version: STSv1\nmode: %s\n", p.Mode)
	for _, pattern := range p.MX {
		fmt.Fprintf(&b, "mx: %s\n", pattern)
	}
	fmt.Fprintf(&b, "max_age: %d\n", int64(p.MaxAge/time.Second))
	return b.String()
}
