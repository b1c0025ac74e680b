package mtasts_test

import (
	"strings"
	"testing"

	"mta-sts-daemon/resolver/mtasts"
)

// Property: an accepted domain is canonical (at least two lower-case LDH labels,
// short enough for the DNS), and parsing it again returns the same domain.
func FuzzParseDomain(f *testing.F) {
	for _, seed := range []string{
		"example.com", "EXAMPLE.com.", "bücher.example", "faß.example", "例え。テスト", "xn--bcher-kva.example",
		"xn--a.bücher.example", "ex\u00adample.com", "192.0.2.1", "１.１.１.１", "[::1]", "localhost", "_mta-sts.example.com",
		".example.com", "a..b", "-a.b", "\xff.example", "a\x00.b", strings.Repeat("a.", 126) + "b", "mx.example.com:25",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		d, err := mtasts.ParseDomain(in)
		if err != nil {
			checkSyntaxError(t, err, "domain", 0)
			return
		}
		name := d.String()
		if !isCanonicalHost(name) || !strings.Contains(name, ".") {
			t.Errorf("ParseDomain(%+q) = %+q, which is not canonical", in, name)
		}
		if again, err := mtasts.ParseDomain(name); err != nil || again != d {
			t.Errorf("ParseDomain(%+q) = %q, but that parses to %q, %v", in, name, again, err)
		}
	})
}

// isCanonicalHost is written apart from the code under test: lower-case LDH
// labels of 1 to 63 bytes, 253 bytes in all.
func isCanonicalHost(name string) bool {
	for label := range strings.SplitSeq(name, ".") {
		if len(label) < 1 || len(label) > 63 || strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-") ||
			strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
			return false
		}
	}
	return len(name) <= 253
}
