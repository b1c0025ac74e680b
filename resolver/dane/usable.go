package dane

import (
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"

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

// canUse reports whether a mail server can use a TLSA record: its fields have
// values that RFC 7672 section 3.1 lets it have and its data is of the form that
// they say. A whole certificate or key must be one that can be read.
func canUse(r dnsclient.TLSA) bool {
	return (r.Usage == usageDANETA || r.Usage == usageDANEEE) &&
		(r.Selector == selectorCert || r.Selector == selectorSPKI) &&
		wellFormed(r)
}

func wellFormed(r dnsclient.TLSA) bool {
	switch r.MatchingType {
	case matchingFull:
		var err error
		if r.Selector == selectorCert {
			_, err = x509.ParseCertificate(r.Data)
		} else {
			_, err = x509.ParsePKIXPublicKey(r.Data)
		}
		return err == nil
	case matchingSHA256:
		return len(r.Data) == sha256.Size
	case matchingSHA512:
		return len(r.Data) == sha512.Size
	}
	return false
}
