package mtasts

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"mta-sts-daemon/resolver/printable"
)

// Limits of host names in bytes, without the root dot (RFC 1035 section 2.3.4).
const (
	maxHostLen  = 253
	maxLabelLen = 63

	// maxUnicodeLen limits the input of IDNA, whose cost grows with the square of
	// a label's length: four bytes of UTF-8 per character.
	maxUnicodeLen = 4 * maxHostLen
)

// Prefixes of a policy domain: the name of its record (RFC 8461 section 3.1) and
// of its policy host (section 3.2).
const (
	recordLabel     = "_mta-sts."
	policyHostLabel = "mta-sts."
)

// Domain is a policy domain: a host name of at least two labels, A-labels in
// lower case, without a trailing dot, not an IP address. Only ParseDomain makes
// one, so users of a Domain do not check or normalise it again. It is comparable;
// the zero Domain means no domain.
type Domain struct{ name string }

// String returns the name, "example.com".
func (d Domain) String() string { return d.name }

// Clone returns d in memory of its own. Clone a Domain that is kept for longer
// than the text from which it was parsed.
func (d Domain) Clone() Domain { return Domain{strings.Clone(d.name)} }

// IsZero reports whether d is the zero Domain.
func (d Domain) IsZero() bool { return d.name == "" }

// RecordName returns the name that holds the domain's TXT record (RFC 8461
// section 3.1), "_mta-sts.example.com".
func (d Domain) RecordName() string { return recordLabel + d.name }

// PolicyHost returns the name of the host that serves the domain's policy
// (RFC 8461 section 3.2), "mta-sts.example.com".
func (d Domain) PolicyHost() string { return policyHostLabel + d.name }

// Parent returns the domain without its first label; ok is false if only a
// single label remains.
func (d Domain) Parent() (parent Domain, ok bool) {
	_, rest, _ := strings.Cut(d.name, ".")
	if strings.IndexByte(rest, '.') < 0 {
		return Domain{}, false
	}
	return Domain{rest}, true
}

// CanPublish reports whether the name of the domain's record fits into the DNS. It
// does not for the longest host names.
func (d Domain) CanPublish() bool { return len(recordLabel)+len(d.name) <= maxHostLen }

// toASCII maps as Postfix does: UTS 46, non-transitional.
var toASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// ParseDomain makes a policy domain of a host name as mail servers write it:
// it lower-cases s, drops one trailing dot and converts U-labels to A-labels. For
// IP addresses, single labels and other text the error is a *SyntaxError.
func ParseDomain(s string) (Domain, error) {
	name, ok := canonicalHost(s)
	if !ok && len(s) <= maxUnicodeLen && !isASCII(s) && utf8.ValidString(s) {
		// Convert the whole name, not each label: its dots may be U+3002. It must be
		// valid UTF-8, because idna replaces invalid bytes by U+FFFD.
		if ascii, err := toASCII.ToASCII(s); err == nil {
			name, ok = canonicalHost(ascii)
		}
	}
	switch {
	case !ok:
		return Domain{}, domainError("%s is not a host name", s)
	case strings.IndexByte(name, '.') < 0:
		return Domain{}, domainError("%s is a single label", s)
	case endsInNumber(name):
		return Domain{}, domainError("%s is an IP address or ends like one", s)
	}
	return Domain{name}, nil
}

func domainError(format, s string) *SyntaxError {
	return &SyntaxError{What: "domain", Reason: strings.Replace(format, "%s", printable.Quote(s), 1)}
}

// canonicalHost lower-cases a host name of ASCII letters, digits and hyphens
// (RFC 1123 section 2.1) and drops one trailing dot. ok is false for other
// strings. It allocates only if it changes case. Every lookup calls it, so it
// reads the name only once.
func canonicalHost(s string) (name string, ok bool) {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > maxHostLen {
		return "", false
	}
	start, upper := 0, false // start of the label
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		case 'A' <= c && c <= 'Z':
			upper = true
		case c == '.':
			if !isLabel(s[start:i]) {
				return "", false
			}
			start = i + 1
		case c != '-':
			return "", false
		}
	}
	if !isLabel(s[start:]) {
		return "", false
	}
	if upper {
		s = strings.ToLower(s)
	}
	return s, true
}

// isLabel reports whether s, of letters, digits and hyphens, is a label.
func isLabel(s string) bool {
	return s != "" && len(s) <= maxLabelLen && s[0] != '-' && s[len(s)-1] != '-'
}

// endsInNumber reports whether the last label of a canonical host name is all
// digits. No such top-level domain can exist (RFC 3696 section 2), so the name
// is an IPv4 address or an attempt at one.
func endsInNumber(name string) bool {
	for i := len(name) - 1; i >= 0 && name[i] != '.'; i-- {
		if c := name[i]; c < '0' || c > '9' {
			return false
		}
	}
	return true
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
