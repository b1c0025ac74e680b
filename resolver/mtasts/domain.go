package mtasts

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"

	"mta-sts-daemon/resolver/printable"
)

// Limits of host names, RFC 1035 section 2.3.4, in octets without the root dot.
const (
	maxHostLen  = 253
	maxLabelLen = 63

	// maxUnicodeLen bounds what goes through IDNA, whose cost grows with the
	// square of a label's length: four octets of UTF-8 a character.
	maxUnicodeLen = 4 * maxHostLen
)

// RFC 8461 sections 3.1 and 3.2: what is put before a policy domain to find
// its record and its policy host.
const (
	recordLabel     = "_mta-sts."
	policyHostLabel = "mta-sts."
)

// Domain is a policy domain: a host name of at least two labels, A-labels in
// lower case, without a trailing dot, and no IP address. Only ParseDomain makes
// one, so nothing that holds a Domain needs to check or normalise it again. It
// is comparable; the zero Domain stands for none.
type Domain struct{ name string }

// String returns the name, "example.com".
func (d Domain) String() string { return d.name }

// Clone returns d in memory of its own, to be kept where what d was parsed from
// is not.
func (d Domain) Clone() Domain { return Domain{strings.Clone(d.name)} }

// IsZero reports whether d is no domain at all.
func (d Domain) IsZero() bool { return d.name == "" }

// RecordName returns the name that holds the domain's TXT record (RFC 8461
// section 3.1), "_mta-sts.example.com".
func (d Domain) RecordName() string { return recordLabel + d.name }

// PolicyHost returns the name of the host that serves the domain's policy
// (RFC 8461 section 3.2), "mta-sts.example.com".
func (d Domain) PolicyHost() string { return policyHostLabel + d.name }

// Parent returns the domain without its first label; ok is false where what is
// left is a single label.
func (d Domain) Parent() (parent Domain, ok bool) {
	_, rest, _ := strings.Cut(d.name, ".")
	if strings.IndexByte(rest, '.') < 0 {
		return Domain{}, false
	}
	return Domain{rest}, true
}

// CanPublish reports whether the DNS can hold the domain's record: the longest
// host names leave no room for the label before them.
func (d Domain) CanPublish() bool { return len(recordLabel)+len(d.name) <= maxHostLen }

// toASCII maps as Postfix does: UTS 46, non-transitional.
var toASCII = idna.New(idna.MapForLookup(), idna.BidiRule(), idna.Transitional(false))

// ParseDomain makes a policy domain of a host name as a mail server writes it:
// case, one trailing dot and U-labels are made canonical. IP addresses, single
// labels and whatever is no host name are refused with a *SyntaxError.
func ParseDomain(s string) (Domain, error) {
	name, ok := canonicalHost(s)
	if !ok && len(s) <= maxUnicodeLen && !isASCII(s) && utf8.ValidString(s) {
		// The whole of it goes through IDNA: its dots may be U+3002. It must
		// be UTF-8 already: idna takes stray octets for U+FFFD and goes on.
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
// (RFC 1123 section 2.1) and drops one trailing dot. ok is false where s is no
// such name. It allocates only where the case changes. Every lookup comes
// through here, so it goes over the name once.
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

// isLabel reports whether letters, digits and hyphens make a label.
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
