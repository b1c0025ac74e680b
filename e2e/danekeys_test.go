package e2e

import "testing"

// TestDANEWholeKeys has TLSA records of whole keys that Go's parsers do not know.
// Postfix takes them for usable and holds the server's key against them; the
// daemon must not have it look at the policy in their place.
func TestDANEWholeKeys(t *testing.T) {
	const (
		brainpoolP256r1 = "305a301406072a8648ce3d020106092b24030302080101070342000447f10385375aa3ff17f8c8140fb428fef4798eeb7787324d75ff5044bf76ebb3432be75f6c9638f302ca614b21778b7b42bb0085ad0114833074046c40eb47d7"
		ed448           = "3043300506032b6571033a00e46ec6c86453a6ef010ca4dfdc0063336c93099c4f5b5d7b41065cd87890f8635dcff199088d78e4517cbdcf02ffbd37fb36b825d9c97ccb00"
	)
	w := newSignedWorld(t)
	var domains []mailDomain
	for label, key := range map[string]string{"brainpool": brainpoolP256r1, "ed448": ed448} {
		d := w.addDomain(label+".example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 0 "+key)
		w.publishSigned(d.name, d.policy("enforce"))
		domains = append(domains, d)
	}
	w.open(t)
	startDaemon(t, w.world, daneAlways).stopLater(t)
	for _, d := range domains {
		w.startServers(t, d, public, "")
		checkAnswer(t, d.name, answerDANEOnly)
	}
	for _, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			p := startPostfix(t, w.world, s, doesDANE...)
			for _, d := range domains {
				checkOutcome(t, daneMismatch, p.outcome(t, p.send(t, "postmaster@"+d.name)))
			}
		})
	}
}
