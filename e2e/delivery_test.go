package e2e

import (
	"fmt"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/smtpsink"
	"mta-sts-daemon/resolver/resolvertest"
)

// delivery is one message to one policy domain with one MX host, which is
// "mx." and the domain.
type delivery struct {
	name        string
	domain      string // as the recipient's address has it
	asciiDomain string // the same in A-labels, if that differs
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

// Postfix's log with a strict answer, and without an answer, when it accepts any
// server.
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
	notNamed   = expectation{statusDeferred, "4.3.0", "", ""} // by report attributes: the policy does not name the MX host
)

var deliveries = []delivery{
	{"enforce, good certificate", "enforce.test", "", enforce, goodCertificate, verified},
	{"enforce, wrong name", "wrong-name.test", "", enforce, wrongName, mismatch},
	{"enforce, expired", "expired.test", "", enforce, expired, outOfDate},
	{"enforce, self-signed", "self-signed.test", "", enforce, selfSigned, unknownCA},
	{"enforce, no STARTTLS", "no-starttls.test", "", enforce, noSTARTTLS, notOffered},
	{"enforce, 10 MX host patterns", "ten.test", "", enforceMany(10), goodCertificate, verified},
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

// TestDelivery delivers with every version of Postfix at once, and prints what
// each did in each case: one row after the other below deliveries, and what
// needs settings or a daemon of its own.
func TestDelivery(t *testing.T) {
	needWorld(t)
	m := newMatrix()
	t.Run("to", func(t *testing.T) { deliverAll(t, m) })
	for _, group := range []struct {
		name string
		test func(*testing.T, *matrix)
	}{
		{"relayhost", throughRelayHost},
		{"jail", fromJail},
		{"tcp_table", overTCPTable},
		{"reuse", overKeptConnections},
		{"restarted", daemonRestarted},
		{"down", daemonDown},
		{"stopped", daemonStopped},
		{"killed", daemonKilled},
	} {
		t.Run(group.name, func(t *testing.T) { group.test(t, m) })
	}
	t.Log(m)
}

// check compares an outcome, and the messages that the MX host received, with the
// expectation.
func check(t *testing.T, want expectation, got outcome, mx *sink, rcpt string) {
	t.Helper()
	checkOutcome(t, want, got)
	checkMessages(t, want, mx, mx.Received(), smtpsink.Message{Recipient: rcpt})
}

// checkMessages compares the messages that an MX host received with the
// expectation, apart from TLS one like m.
func checkMessages(t *testing.T, want expectation, mx *sink, got []smtpsink.Message, m smtpsink.Message) {
	t.Helper()
	var expect []smtpsink.Message
	if want.status == statusSent {
		m.TLS = want.tls != ""
		if want == verified {
			m.ServerName = mx.host
		}
		expect = append(expect, m)
	}
	if fmt.Sprint(got) != fmt.Sprint(expect) {
		t.Errorf("%s has taken %+v, want %+v", mx.host, got, expect)
	}
}

func checkOutcome(t *testing.T, want expectation, got outcome) {
	t.Helper()
	if (expectation{got.Status, got.DSN, got.TLS, got.Fault}) != want {
		t.Errorf("want %+v, Postfix said %+v", want, got)
	}
}
