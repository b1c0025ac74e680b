package tlsrpt

import (
	"encoding/json"
	"regexp"

	"mta-sts-daemon/resolver/mtasts"
)

// Code is the number by which the collector knows a result type of RFC 8460 section
// 4.3.
type Code int

// The results that this daemon reports. Postfix reports those of TLS sessions.
const (
	ValidationFailure Code = 205 // validation-failure
	PolicyFetchError  Code = 301 // sts-policy-fetch-error
	PolicyInvalid     Code = 302 // sts-policy-invalid
	WebPKIInvalid     Code = 303 // sts-webpki-invalid
)

// codes are the codes of RFC 8460's words. They never change.
var codes = map[string]Code{
	"validation-failure":     ValidationFailure,
	"sts-policy-fetch-error": PolicyFetchError,
	"sts-policy-invalid":     PolicyInvalid,
	"sts-webpki-invalid":     WebPKIInvalid,
}

// CodeOf returns the code of a result type in RFC 8460's words; false if it is not
// one that this daemon reports.
func CodeOf(word string) (Code, bool) {
	c, ok := codes[word]
	return c, ok
}

// Failure is a lookup that went without the protection that its domain announces.
type Failure struct {
	Domain mtasts.Domain // the policy domain
	Code   Code
	Reason string // one line of printable ASCII, for the domain's owner
}

// The collector's numbers and its version of the protocol.
const (
	protocolVersion = "1"
	policyTypeSTS   = 2
	finalFailure    = 1
)

// datagram is one message to the collector, in the format of libtlsrpt.
type datagram struct {
	Version  string   `json:"dpv"`
	Domain   string   `json:"d"`
	Record   string   `json:"pr"`
	Policies []policy `json:"policies"`
}

type policy struct {
	Type     int      `json:"policy-type"`
	Domain   string   `json:"policy-domain"`
	Failures []detail `json:"failure-details"`
	Total    int      `json:"t"` // number of Failures
	Final    int      `json:"f"` // finalFailure if the session, here the discovery, failed
}

type detail struct {
	Code   Code   `json:"c"`
	Reason string `json:"f"` // failure-reason-code of RFC 8460 section 4.4
}

// presentTime is what crypto/x509 says of the time in its message about a certificate that
// has expired or is not valid yet.
var presentTime = regexp.MustCompile(`: current time \S+ is (after|before) `) // never changed

// withoutPresentTime leaves the present time out of a reason. The collector counts equal
// reasons, and a report would have a line for each time.
func withoutPresentTime(reason string) string {
	return presentTime.ReplaceAllString(reason, ": it is $1 ")
}

// encode returns the datagram that reports f to a domain with that TLSRPT record.
func encode(f Failure, record string) ([]byte, error) {
	details := []detail{{f.Code, withoutPresentTime(f.Reason)}}
	return json.Marshal(datagram{
		Version: protocolVersion,
		Domain:  f.Domain.String(),
		Record:  record,
		Policies: []policy{{
			Type:     policyTypeSTS,
			Domain:   f.Domain.String(),
			Failures: details,
			Total:    len(details),
			Final:    finalFailure,
		}},
	})
}
