package e2e

import (
	"fmt"
	"testing"
)

// TestSTSOverridesDANE shows the purpose of dns.dane. If Postfix does DANE and
// the daemon does not, the policy hides the TLSA records: mail goes to a server
// that DANE refuses, and not to one that it accepts. RFC 8461 section 2 forbids
// the first.
func TestSTSOverridesDANE(t *testing.T) {
	daneAndPolicy(t, daneOff, doesDANE, answerSecure, []routing{
		by(0, unknownCA), // would be sent: DANE vouches for this server
		by(1, verified),  // would be deferred: DANE denies this server
	})
}

// TestDANEWithoutPostfix has the daemon answer with DANE where Postfix does
// none: it defers that mail, all of it. Therefore dns.dane: auto asks Postfix.
func TestDANEWithoutPostfix(t *testing.T) {
	daneAndPolicy(t, daneAlways, nil, answerDANEOnly, []routing{notAnswered, notAnswered})
}

// daneOff has the daemon leave DANE to Postfix.
var daneOff = fmt.Sprintf("dns: {servers: [%q], dane: off}", resolverAddr)

// daneAndPolicy sends a message to a server that DANE vouches for, no authority
// does, and one the other way round. Both domains enforce a policy.
func daneAndPolicy(t *testing.T, daemon string, postfix []string, answer string, want []routing) {
	w := newSignedWorld(t)
	var cases []*daneCase
	for i, c := range []struct {
		name, label, digest string
		certificate         certificate
	}{
		{"DANE vouches for the server", "good", "$GOOD", matching},
		{"DANE denies the server", "bad", "$BAD", public},
	} {
		d := w.addDomain(c.label+".example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 "+c.digest)
		w.publishSigned(d.name, d.policy("enforce"))
		cases = append(cases, &daneCase{name: c.name + "\t| " + c.label + "\t| enforce",
			domain: d, certificate: c.certificate, answer: answer, want: want[i]})
	}
	w.open(t)
	startDaemon(t, w.world, daemon).stopLater(t)
	deliverDANE(t, w, startPostfix(t, w.world, bookworm, postfix...), cases)
}

// TestDANEReplacesSiteDefault has a site that encrypts all mail, and a domain of
// two MX hosts one of which has TLSA records. What the map answers takes the
// place of the site's level: to the other host "dane" does not ask for TLS.
func TestDANEReplacesSiteDefault(t *testing.T) {
	for _, test := range []struct {
		daemon, answer string
		want           expectation
	}{
		{daneAlways, answerDANE, unencrypted},
		{daneOff, notKnown, notOffered},
	} {
		t.Run(test.answer, func(t *testing.T) {
			w := newSignedWorld(t)
			d := w.addDomain("partly.example", "$D MX 10 mx1.$D", "mx1.$D A $1", "_25._tcp.mx1.$D TLSA 3 1 1 $GOOD",
				"$D MX 20 mx2.$D", "mx2.$D A $2")
			w.open(t)
			startDaemon(t, w.world, test.daemon).stopLater(t)
			p := startPostfix(t, w.world, bookworm, withDNSSEC, "smtp_tls_security_level = encrypt")
			// The first host is down.
			second := startSink(t, w.ca, d.addresses[1]+":25", d.servers[1], noSTARTTLS)
			rcpt := "postmaster@" + d.name
			check(t, test.want, p.outcome(t, p.send(t, rcpt)), second, rcpt)
			checkAnswer(t, d.name, test.answer)
		})
	}
}
