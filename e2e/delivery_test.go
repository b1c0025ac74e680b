package e2e

import (
	"cmp"
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// delivery is one message to one policy domain with one MX host, which is
// "mx." and the domain.
type delivery struct {
	name        string
	domain      string // as the recipient's address has it
	asciiDomain string // the same in A-labels, where that differs
	publishes   func(domain string) resolvertest.Behaviour
	certificate certificate
	want        expectation
}

// expectation is what Postfix's log must say.
type expectation struct {
	status status
	dsn    string // enhanced status code
	tls    string // as in outcome
	fault  string // as in outcome
}

// What Postfix says when it was told to be strict, and when it was told
// nothing and takes what there is.
var (
	verified    = expectation{statusSent, "2.0.0", "Verified", ""}
	trusted     = expectation{statusSent, "2.0.0", "Trusted", ""}
	untrusted   = expectation{statusSent, "2.0.0", "Untrusted", ""}
	unencrypted = expectation{statusSent, "2.0.0", "", ""}

	mismatch   = expectation{statusDeferred, "4.7.5", "Untrusted", "hostname mismatch"}
	outOfDate  = expectation{statusDeferred, "4.7.5", "Untrusted", "certificate has expired"}
	unknownCA  = expectation{statusDeferred, "4.7.5", "Untrusted", "self-signed certificate"}
	notOffered = expectation{statusDeferred, "4.7.4", "", ""}
	undecided  = expectation{statusDeferred, "4.7.5", "", ""} // the map has no answer
)

var deliveries = []delivery{
	{"enforce, good certificate", "enforce.test", "", enforce, goodCertificate, verified},
	{"enforce, wrong name", "wrong-name.test", "", enforce, wrongName, mismatch},
	{"enforce, expired", "expired.test", "", enforce, expired, outOfDate},
	{"enforce, self-signed", "self-signed.test", "", enforce, selfSigned, unknownCA},
	{"enforce, no STARTTLS", "no-starttls.test", "", enforce, noSTARTTLS, notOffered},
	{"enforce, MX host not in the policy", "other-host.test", "", otherHost, goodCertificate, mismatch},
	{"enforce, 100 MX host patterns", "hundred.test", "", enforceMany(100), goodCertificate, verified},
	{"enforce, 500 MX host patterns", "five-hundred.test", "", enforceMany(500), goodCertificate, verified},
	{"enforce, 500 MX host patterns, wrong name", "five-hundred-wrong.test", "", enforceMany(500), wrongName, mismatch},
	{"enforce, policy host takes 5 s", "slow.test", "", enforceAfter(5 * time.Second), goodCertificate, verified},
	{"enforce, wildcard", "wildcard.test", "", wildcard, goodCertificate, verified},
	{"enforce, wildcard, wrong name", "wildcard-wrong-name.test", "", wildcard, wrongName, mismatch},

	{"recipient in upper case", "UPPER.Test", "upper.test", enforce, goodCertificate, verified},
	{"recipient in upper case, wrong name", "UPPER-Wrong.Test", "upper-wrong.test", enforce, wrongName, mismatch},
	{"IDN", "bücher.test", "xn--bcher-kva.test", enforce, goodCertificate, verified},
	{"IDN, wrong name", "falsch.bücher.test", "falsch.xn--bcher-kva.test", enforce, wrongName, mismatch},

	{"testing, good certificate", "testing.test", "", onlyTesting, goodCertificate, trusted},
	{"testing, self-signed", "testing-self-signed.test", "", onlyTesting, selfSigned, untrusted},
	{"testing, no STARTTLS", "testing-no-starttls.test", "", onlyTesting, noSTARTTLS, unencrypted},
	{"none, self-signed", "none.test", "", none, selfSigned, untrusted},
	{"no record, good certificate", "no-record.test", "", nil, goodCertificate, trusted},
	{"no record, self-signed", "no-record-self-signed.test", "", nil, selfSigned, untrusted},
	{"no record, no STARTTLS", "no-record-no-starttls.test", "", nil, noSTARTTLS, unencrypted},
	{"subdomain of enforce, self-signed", "sub.enforce.test", "", nil, selfSigned, untrusted},

	{"policy broken, self-signed", "broken.test", "", broken, selfSigned, untrusted},
	{"policy host redirects, self-signed", "redirect.test", "", redirect, selfSigned, untrusted},
	{"policy host says 404, self-signed", "not-found.test", "", notFound, selfSigned, untrusted},
	{"policy host has wrong name, self-signed", "host-wrong-name.test", "", hostWrongName, selfSigned, untrusted},
	{"policy host expired, self-signed", "host-expired.test", "", hostExpired, selfSigned, untrusted},
	{"policy host self-signed, self-signed", "host-self-signed.test", "", hostSelfSigned, selfSigned, untrusted},
	{"policy host hangs, self-signed", "host-hangs.test", "", hostHangs, selfSigned, untrusted},
}

// TestDelivery sends one message for each row and holds what Postfix logs, and
// what the MX host has taken, against what RFC 8461 wants to happen.
func TestDelivery(t *testing.T) {
	w := newWorld(t)
	startDaemon(t, w).stopLater(t)
	p := startPostfix(t, w, bookworm)

	said := make([]outcome, len(deliveries))
	t.Run("to", func(t *testing.T) {
		for i, d := range deliveries {
			t.Run(d.domain, func(t *testing.T) {
				t.Parallel()
				ascii := cmp.Or(d.asciiDomain, d.domain)
				host, address := "mx."+ascii, fmt.Sprintf("127.0.1.%d", i+1)
				w.addMX(ascii, host, address)
				requests := 0
				if d.publishes != nil {
					policyHost := d.publishes(ascii)
					w.publish(ascii, policyHost)
					if policyHost.Respond != nil && policyHost.Leaf == nil { // the handshake succeeds
						requests = 1
					}
				}
				mx := startSink(t, w.ca, address+":25", host, d.certificate)

				rcpt := "postmaster@" + d.domain
				said[i] = p.outcome(t, p.send(t, rcpt))
				check(t, d.want, said[i], mx, rcpt)
				if got := w.hosts.Requests(ascii); got != requests {
					t.Errorf("the policy host was asked %d times, want %d", got, requests)
				}
			})
		}
	})
	if got := w.hosts.Requests(redirectTarget); got > 1 {
		t.Errorf("the policy host of %s was asked %d times, also for others", redirectTarget, got)
	}
	t.Log(table(deliveries, said))
}

// check holds an outcome against what is wanted, and against what the MX host
// has seen.
func check(t *testing.T, want expectation, got outcome, mx *sink, rcpt string) {
	t.Helper()
	checkOutcome(t, want, got)
	var expect []message
	if want.status == statusSent {
		m := message{Recipient: rcpt, TLS: want.tls != ""}
		if want == verified {
			m.ServerName = mx.host
		}
		expect = append(expect, m)
	}
	if got := mx.received(); fmt.Sprint(got) != fmt.Sprint(expect) {
		t.Errorf("%s has taken %+v, want %+v", mx.host, got, expect)
	}
}

func checkOutcome(t *testing.T, want expectation, got outcome) {
	t.Helper()
	if (expectation{got.Status, got.DSN, got.TLS, got.Fault}) != want {
		t.Errorf("want %+v, Postfix said %+v", want, got)
	}
}

// table is the whole test at a glance.
func table(deliveries []delivery, said []outcome) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ncase\t| expected\t| Postfix said")
	for i, d := range deliveries {
		if said[i].Status == "" {
			continue // left out by -run, or failed
		}
		fmt.Fprintf(w, "%s\t| %s %s\t| %s\n", d.name, d.want.status, d.want.tls, said[i])
	}
	w.Flush()
	return b.String()
}
