package mtasts_test

import (
	"strings"
	"testing"

	"mta-sts-daemon/resolver/mtasts"
)

// RFC 8461 section 4.1: a wildcard is the whole left-most label and stands for
// one label.
func TestPolicyMatches(t *testing.T) {
	t.Parallel()
	tests := []struct {
		patterns string
		host     string
		want     bool
	}{
		{"*.example.com", "mail.example.com", true}, // the RFC's own three
		{"*.example.com", "example.com", false},
		{"*.example.com", "foo.bar.example.com", false},

		{"mx.example.com", "mx.example.com", true},
		{"mx.example.com", "MX.Example.com.", true},
		{"MX.example.com.", "mx.example.com", true},
		{"mx.example.com", "mx2.example.com", false},
		{"mx.example.com", "example.com", false},
		{"mx.example.com", "a.mx.example.com", false},
		{"mx.example.com", "mx.example.com.example.net", false},
		{"mx.example.com", "mx.example", false},
		{"mx.example.com", "amx.example.com", false},

		{"*.Example.COM", "mail.example.com", true},
		{"*.example.com", "MAIL.example.com.", true},
		{"*.example.com", "mail.example.net", false},
		{"*.example.com", "mailexample.com", false},
		{"*.example.com", "mail.notexample.com", false},
		{"*.example.com", "mail.example.com.example.net", false},
		{"*.mx.example.com", "mx.example.com", false},
		{"*.mx.example.com", "a.mx.example.com", true},
		{"*.com", "example.com", true},
		{"*.com", "mail.example.com", false},
		{"*.example", "mx.example", true},

		{"*.xn--bcher-kva.example", "mx.bücher.example", true},
		{"xn--bcher-kva.example", "bücher.example", true},
		{"xn--bcher-kva.example", "bucher.example", false},
		{"*.example.com", "bücher.example.com", true},

		{"a.example.com b.example.com *.example.net", "b.example.com", true},
		{"a.example.com b.example.com *.example.net", "c.example.net", true},
		{"a.example.com b.example.com *.example.net", "c.example.com", false},
	}
	for _, tt := range tests {
		p := policyWith(t, tt.patterns)
		if got := p.Matches(mustDomain(t, tt.host).String()); got != tt.want {
			t.Errorf("%q matches %s: %t, want %t", p.MX, tt.host, got, tt.want)
		}
	}
}

// MX hosts are DNS names, not policy domains.
func TestAnyNameMatches(t *testing.T) {
	t.Parallel()
	p := policyWith(t, "*.0123abcd.example.com mx.example.com")
	for host, want := range map[string]bool{
		"_dc-mx.0123abcd.example.com":   true,
		"_DC-MX.0123ABCD.example.com.":  true,
		"a._dc-mx.0123abcd.example.com": false,
		"_dc-mx.example.com":            false,
		"mx":                            false,
		"mx.example.com":                true,
		"192.0.2.1":                     false,
	} {
		if got := p.Matches(host); got != want {
			t.Errorf("%q matches %s: %t, want %t", p.MX, host, got, want)
		}
	}
	if !p.MatchesAny([]string{"other.example.net", "mx.example.com"}) || p.MatchesAny([]string{"other.example.net"}) || p.MatchesAny(nil) {
		t.Error("MatchesAny is wrong")
	}
}

func TestNoHostMatches(t *testing.T) {
	t.Parallel()
	p := policyWith(t, "mx.example.com *.example.com")
	if p.Matches("") {
		t.Error("no host at all matches")
	}
	none, err := mtasts.ParsePolicy("version: STSv1\nmode: none\nmax_age: 1\n")
	if err != nil {
		t.Fatal(err)
	}
	if none.Matches("mx.example.com") {
		t.Error("a host matches a policy without patterns")
	}
}

// policyWith makes an enforcing policy of patterns parted by blanks.
func policyWith(t *testing.T, patterns string) mtasts.Policy {
	t.Helper()
	mx := "mx: " + strings.Join(strings.Fields(patterns), "\nmx: ")
	p, err := mtasts.ParsePolicy("version: STSv1\nmode: enforce\n" + mx + "\nmax_age: 86400\n")
	if err != nil {
		t.Fatal(err)
	}
	return p
}
