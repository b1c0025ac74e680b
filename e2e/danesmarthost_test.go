package e2e

import (
	"fmt"
	"strings"
	"testing"
)

// TestDANESmartHost sends through smart hosts: a next hop in brackets is itself
// the host with the TLSA records, which are those of its port.
func TestDANESmartHost(t *testing.T) {
	w := newSignedWorld(t)
	type relay struct {
		domain      mailDomain
		certificate certificate
		answer      string
		want        expectation
	}
	var relays []relay
	var transports []string
	add := func(label string, cert certificate, answer string, want expectation, records ...string) {
		d := w.addDomain("relay."+label+".example", append(records, "$D A $1")...)
		w.publishSigned(d.name, d.policy("enforce"))
		transports = append(transports, fmt.Sprintf("%s.test=smtp:[%s]:587", label, d.name))
		relays = append(relays, relay{d, cert, answer, want})
	}
	add("good", matching, answerDANEOnly, verified, "_587._tcp.$D TLSA 3 1 1 $GOOD")
	add("bad", public, answerDANEOnly, daneMismatch, "_587._tcp.$D TLSA 3 1 1 $BAD")
	add("other-port", public, answerSecure, verified, "_25._tcp.$D TLSA 3 1 1 $BAD")
	add("unknown", public, answerTemp, undecided, "_587._tcp.$D CNAME none."+bogusZone)
	// The domain's MX records are of no account.
	add("with-mx", matching, answerDANEOnly, verified, "_587._tcp.$D TLSA 3 1 1 $GOOD", "$D MX 10 mx."+bogusZone)
	w.open(t)
	startDaemon(t, w.world, daneAlways).stopLater(t)
	p := startPostfix(t, w.world, bookworm, append(doesDANE,
		"transport_maps = inline:{ "+strings.Join(transports, ", ")+" }")...)

	for _, r := range relays {
		host := r.domain.name
		label := strings.Split(host, ".")[1]
		t.Run(label, func(t *testing.T) {
			t.Parallel()
			mx := startSink(t, w.ca, r.domain.addresses[0]+":587", host, r.certificate)
			rcpt := "postmaster@" + label + ".test"
			check(t, r.want, p.outcome(t, p.send(t, rcpt)), mx, rcpt)
			checkAnswer(t, "["+host+"]:587", r.answer)
		})
	}
}
