// Package outcomes reads the outcomes of deliveries from Postfix's log: the policy
// of each, the TLS of its connection, its status (sent, deferred or bounced) and,
// if TLS was the cause, the reason.
//
// Two kinds of lines of the smtp client matter. Delivery lines, one for each
// attempt and recipient:
//
//	postfix/smtp[363]: 4jcHqV6cBpz4h: to=<a@example.com>, relay=mx.example.com[192.0.2.1]:25, delay=0.09, delays=0/0.03/0.05/0, dsn=2.0.0, status=sent (250 taken)
//
// and, if smtp_tls_loglevel is 1 or more, a line for each TLS session:
//
//	postfix/smtp[363]: Verified TLS connection established to mx.example.com[192.0.2.1]:25: TLSv1.3 with cipher …
//
// The latter has no queue id. A process of the smtp client delivers one message
// at a time, so that the line belongs to the process's next delivery lines that
// have its relay, up to the first with another queue id. Postfix 3.11 writes a
// summary into the delivery line itself, "tls=secure", which takes precedence.
//
// A Tally counts, from lines (ReadFiles, Follower) or from entries of the journal
// (Journal). It never fails: it ignores lines that it does not know. Its memory
// has a limit, however long the log is.
package outcomes

import "strings"

// Policy is the policy that applies to a delivery.
type Policy uint8

// The Policies.
const (
	// PolicyUnknown means that the daemon could not be asked, or did not know the
	// domain.
	PolicyUnknown Policy = iota
	PolicyNone
	PolicySTS
	PolicyDANE
	numPolicies
)

var policyNames = [numPolicies]string{"unknown", "none", "sts", "dane"}

// String returns the policy's name in JSON and metrics.
func (p Policy) String() string { return policyNames[p] }

// applies reports whether p is a policy that demands TLS.
func (p Policy) applies() bool { return p == PolicySTS || p == PolicyDANE }

// security is the TLS of a connection, as far as it is known.
type security uint8

const (
	unknownTLS security = iota
	noTLS
	anonymous
	untrusted
	trusted
	verified
	numTLS
)

// Values of delivery lines that are undecided until a line elsewhere in the log shows
// that Postfix logs TLS at all. They become noTLS or unknownTLS.
const (
	// silent: the line has no tls= field, and no TLS line belongs to it.
	silent = numTLS + iota
	// unsecured: undecided too, without a connection, or with one that was kept from an
	// earlier delivery. If a kept one has TLS, Postfix logs that at any level.
	unsecured
	numSecurities
)

var tlsNames = [numTLS]string{"unknown", "none", "anonymous", "untrusted", "trusted", "verified"}

func (s security) String() string { return tlsNames[s] }

// securities are the words of Postfix's TLS lines.
var securities = map[string]security{
	"Anonymous": anonymous,
	"Untrusted": untrusted,
	"Trusted":   trusted,
	"Verified":  verified,
}

// status is how a delivery attempt ended.
type status uint8

const (
	sent status = iota
	deferred
	bounced
	numStatuses
	// probed: the attempt was an address probe, which delivers nothing.
	probed = numStatuses
)

var statusNames = [numStatuses]string{"sent", "deferred", "bounced"}

func (s status) String() string { return statusNames[s] }

// statuses are the words of Postfix's delivery lines.
var statuses = map[string]status{
	"sent":          sent,
	"deferred":      deferred,
	"bounced":       bounced,
	"deliverable":   probed,
	"undeliverable": probed,
}

// reason is why TLS failed a delivery.
type reason uint8

const (
	noReason reason = iota // TLS did not
	noSTARTTLS
	badCertificate
	handshake
	mxNotInPolicy
	policyLookup
	tlsaLookup
	otherReason
	numReasons
)

var reasonNames = [numReasons]string{"", "no-starttls", "certificate", "handshake", "mx-not-in-policy", "policy-lookup", "tlsa", "other"}

func (r reason) String() string { return reasonNames[r] }

// reasonTexts are the beginnings of Postfix's own texts, of 3.7 to 3.11. The first
// match counts. A mail host cannot choose the reason, because its replies begin
// differently ("host mx… said:").
var reasonTexts = []struct {
	prefix string
	reason reason
}{
	{"TLS is required, but was not offered by host ", noSTARTTLS},
	{"TLS is required, but host ", noSTARTTLS}, // … refused to start TLS
	{"TLS is required, but ", otherReason},     // our TLS engine is unavailable
	{"Server certificate not ", badCertificate},
	{"Cannot start TLS: handshake failure", handshake},
	{"client TLS configuration problem", policyLookup},
	{"TLSA lookup error for ", tlsaLookup},
	{"no TLSA records found", tlsaLookup},
	{"TLSA records unusable", tlsaLookup},
	{"non DNSSEC destination", tlsaLookup},
	{"Verification not possible, MX RRset is insecure", tlsaLookup},
	{"Sender requested REQUIRETLS, ", otherReason},
	{"REQUIRETLS policy configuration error", otherReason},
}

// noHostLeft is what Postfix says if it tried no MX host at all, because the
// policy named none of them or for another cause.
const noHostLeft = "server unavailable or unable to receive mail"

// suspended begins the text if Postfix did not try because earlier attempts had
// failed; the reason of those follows.
const suspended = "delivery temporarily suspended: "

// reasonOf finds the reason in the text of a failed delivery.
func reasonOf(text string) reason {
	for _, t := range reasonTexts {
		if strings.HasPrefix(text, t.prefix) {
			return t.reason
		}
	}
	return noReason
}
