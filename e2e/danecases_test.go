package e2e

import "testing"

// TestDANECases sends a message for each finer point of RFC 7672: where TLSA
// records are looked for, which of them count, and which hosts do.
func TestDANECases(t *testing.T) {
	const inRoot, inUnsigned, inBogus = ".example", ".unsigned.example", ".bogus.example"
	const noPolicy, enforced = "", "enforce"
	w := newSignedWorld(t)
	var cases []*daneCase
	for _, c := range []struct {
		name, label, zone string
		records           []string
		mode              string // of the policy
		certificate       certificate
		alias             string // the label below the domain that Postfix is to ask for
		answer            string
		want              routing
	}{
		// Places of the TLSA records (sections 2.1.3 and 2.2.2).
		{"CNAME, TLSA at its end", "end", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D CNAME host.$D", "host.$D A $1", "_25._tcp.host.$D TLSA 3 1 1 $GOOD"},
			enforced, matching, "", answerDANEOnly, by(1, verified)},
		{"CNAME, TLSA at its end does not match", "end-bad", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D CNAME host.$D", "host.$D A $1", "_25._tcp.host.$D TLSA 3 1 1 $BAD"},
			enforced, public, "", answerDANEOnly, deniedByDANE},
		{"CNAME, TLSA at the name itself alone", "name", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D CNAME host.$D", "host.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD"},
			enforced, matching, "mx", answerDANEOnly, by(1, verified)},
		{"CNAME, TLSA at both: its end counts", "both", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D CNAME host.$D", "host.$D A $1",
				"_25._tcp.host.$D TLSA 3 1 1 $BAD", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD"},
			enforced, public, "", answerDANEOnly, deniedByDANE},
		{"CNAME out of the signed zones, TLSA at the name", "leaving", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D CNAME $U", "$U A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD"},
			enforced, matching, "mx", answerDANEOnly, by(1, verified)},
		{"CNAME out of the signed zones, TLSA at its end", "left", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D CNAME $U", "$U A $1", "_25._tcp.$U TLSA 3 1 1 $GOOD"},
			noPolicy, public, "", notKnown, by(1, trusted)},
		{"TLSA is a CNAME", "elsewhere", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D CNAME tlsa.$D", "tlsa.$D TLSA 3 1 1 $GOOD"},
			enforced, matching, "", answerDANEOnly, by(1, verified)},
		{"no MX, TLSA at the domain", "implicit", inRoot,
			[]string{"$D A $1", "_25._tcp.$D TLSA 3 1 1 $GOOD"},
			enforced, matching, "", answerDANEOnly, by(1, verified)},
		{"no MX, TLSA at the domain does not match", "implicit-bad", inRoot,
			[]string{"$D A $1", "_25._tcp.$D TLSA 3 1 1 $BAD"},
			enforced, public, "", answerDANEOnly, deniedByDANE},
		{"null MX", "null", inRoot,
			[]string{"$D MX 0 .", "_25._tcp.$D TLSA 3 1 1 $GOOD"},
			noPolicy, public, "", notKnown, takesNoMail},

		// Which records count (section 3.1).
		{"usage 0, nothing published", "usage0", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 0 1 1 $GOOD"},
			noPolicy, matching, "", answerDANE, by(1, untrusted)},
		{"usage 0, no STARTTLS", "usage0-plain", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 0 1 1 $GOOD"},
			noPolicy, noSTARTTLS, "", answerDANE, by(0, notOffered)},
		{"usage 0, enforce", "usage0-enforce", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 0 1 1 $GOOD"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"selector 9, enforce", "selector9", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 9 1 $GOOD"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"selector 9, no STARTTLS", "selector9-plain", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 9 1 $GOOD"},
			noPolicy, noSTARTTLS, "", answerDANE, by(0, notOffered)},
		{"matching type 9, enforce", "matching9", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 9 $GOOD"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"short digest, enforce", "short", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 00112233"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"short digest, no STARTTLS", "short-plain", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 00112233"},
			noPolicy, noSTARTTLS, "", answerDANE, by(0, notOffered)},
		{"no key but garbage, enforce", "garbage", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 0 00112233"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"one usable record among others", "among", inRoot,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 1 1 1 $BAD",
				"_25._tcp.mx.$D TLSA 3 9 1 $BAD", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD"},
			enforced, matching, "", answerDANEOnly, by(1, verified)},

		// Which hosts count.
		{"a host without address", "homeless", inRoot,
			[]string{"$D MX 10 none.$D", "$D MX 20 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD"},
			noPolicy, matching, "", answerDANEOnly, by(1, verified)},
		{"MX host in an unsigned zone", "outside", inRoot,
			[]string{"$D MX 10 $U", "$U A $1", "_25._tcp.$U TLSA 3 1 1 $BAD"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"MX host in a bogus zone", "bad-host", inRoot,
			[]string{"$D MX 10 $B", "$B A $1", "_25._tcp.$B TLSA 3 1 1 $GOOD"},
			noPolicy, matching, "", answerDANE, addrUnknown},
		{"MX host in a bogus zone, enforce", "bad-host-enforce", inRoot,
			[]string{"$D MX 10 $B", "$B A $1", "_25._tcp.$B TLSA 3 1 1 $GOOD"},
			enforced, matching, "", answerTemp, addrUnknown},
		{"one host in a bogus zone, one without TLSA", "half-known", inRoot,
			[]string{"$D MX 10 $B", "$B A $2", "$D MX 20 mx.$D", "mx.$D A $1"},
			noPolicy, public, "", answerDANE, by(1, trusted)},
		{"one host in a bogus zone, one without TLSA, enforce", "half-known-enforce", inRoot,
			[]string{"$D MX 10 $B", "$B A $2", "$D MX 20 mx.$D", "mx.$D A $1"},
			enforced, public, "", answerTemp, notAnswered},
		// Postfix's smtp_tls_dane_insecure_mx_policy, which is dane.
		{"unsigned domain, MX host with TLSA that does not match", "hosted", inUnsigned,
			[]string{"$D MX 10 mx.hosted.example.", "mx.hosted.example. A $1", "_25._tcp.mx.hosted.example. TLSA 3 1 1 $BAD"},
			noPolicy, public, "", notKnown, deniedByDANE},
		{"unsigned domain, MX host with TLSA that does not match, enforce", "hosted2", inUnsigned,
			[]string{"$D MX 10 mx.hosted2.example.", "mx.hosted2.example. A $1", "_25._tcp.mx.hosted2.example. TLSA 3 1 1 $BAD"},
			enforced, public, "", answerSecure, by(1, verified)},
		{"bogus domain", "domain", inBogus,
			[]string{"$D MX 10 mx.$D", "mx.$D A $1"},
			noPolicy, public, "", answerTemp, mxUnknown},
	} {
		d := w.addDomain(c.label+c.zone, c.records...)
		if c.mode != noPolicy {
			w.publishSigned(d.name, d.policy(c.mode))
		}
		dane := map[certificate]string{matching: "good", public: "bad", noSTARTTLS: "no TLS"}[c.certificate]
		one := &daneCase{name: c.name + "\t| " + dane + "\t| " + c.mode, domain: d, certificate: c.certificate, answer: c.answer, want: c.want}
		if c.alias != "" {
			one.alias = c.alias + "." + d.name
		}
		cases = append(cases, one)
	}
	w.open(t)
	startDaemon(t, w.world, daneAlways).stopLater(t)
	deliverDANE(t, w, startPostfix(t, w.world, bookworm, doesDANE...), cases)
}
