package dane

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/asn1"
	"slices"

	"mta-sts-daemon/resolver/dnsclient"
)

// The fields of a TLSA record, RFC 6698 section 2.1, by the acronyms of RFC
// 7218. Usages 0 and 1 want authorities that mail servers do not have (RFC 7672
// section 3.1.3).
const (
	usageDANETA = 2
	usageDANEEE = 3

	selectorCert = 0
	selectorSPKI = 1

	matchingFull   = 0
	matchingSHA256 = 1
	matchingSHA512 = 2
)

// The elements of a certificate (RFC 5280 section 4.1) and of a
// SubjectPublicKeyInfo (section 4.1.2.7), by their tags.
var (
	certElements = []int{asn1.TagSequence, asn1.TagSequence, asn1.TagBitString}
	spkiElements = []int{asn1.TagSequence, asn1.TagBitString}
)

// Usable reports whether a mail server can use a TLSA record: its fields have
// values that RFC 7672 section 3.1 lets it have and its data is of the form that
// they say.
func Usable(r dnsclient.TLSA) bool {
	return (r.Usage == usageDANETA || r.Usage == usageDANEEE) &&
		(r.Selector == selectorCert || r.Selector == selectorSPKI) &&
		wellFormed(r)
}

// wellFormed reports whether the data has the length of the digest, or the outer
// form of a whole certificate or key. The mail server checks the rest: OpenSSL
// accepts curves and serial numbers that Go's parsers refuse, and a record that
// counts there has to count here.
func wellFormed(r dnsclient.TLSA) bool {
	switch r.MatchingType {
	case matchingFull:
		if r.Selector == selectorCert {
			return consistsOf(r.Data, certElements)
		}
		return consistsOf(r.Data, spkiElements)
	case matchingSHA256:
		return len(r.Data) == sha256.Size
	case matchingSHA512:
		return len(r.Data) == sha512.Size
	}
	return false
}

// consistsOf reports whether der is one SEQUENCE, and nothing after it, of
// elements with these tags.
func consistsOf(der []byte, tags []int) bool {
	var elements []asn1.RawValue
	rest, err := asn1.Unmarshal(der, &elements)
	return err == nil && len(rest) == 0 && slices.EqualFunc(elements, tags, func(e asn1.RawValue, tag int) bool {
		return e.Class == asn1.ClassUniversal && e.Tag == tag && e.IsCompound == (tag == asn1.TagSequence)
	})
}
