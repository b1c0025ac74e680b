package e2e

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/store"
)

// TestDANEOutage takes the daemon's resolver away, while Postfix has its own.
// What DANE says of a domain that was asked for holds, also over a restart;
// of another it cannot be known, and its mail waits.
func TestDANEOutage(t *testing.T) {
	w := newSignedWorld(t)
	var domains []mailDomain
	for _, label := range []string{"seen", "never"} {
		d := w.addDomain(label+".example", "$D MX 10 mx.$D", "mx.$D A $1", "_25._tcp.mx.$D TLSA 3 1 1 $GOOD")
		w.publishSigned(d.name, d.policy("enforce"))
		domains = append(domains, d)
	}
	conf := w.open(t)
	resolver := startUnboundAt(t, bookworm, secondAddr, conf)
	d := startDaemon(t, w.world, keepPolicies,
		fmt.Sprintf("dns: {servers: [%q], dane: always}", secondAddr), "recheck_wait: 100ms", "answer_timeout: 2s")
	p := startPostfix(t, w.world, bookworm, doesDANE...)
	seen, never := domains[0], domains[1]
	seenMX := w.startServers(t, seen, matching, "")[0]
	neverMX := w.startServers(t, never, matching, "")[0]
	toSeen, toNever := "postmaster@"+seen.name, "postmaster@"+never.name

	check(t, verified, p.outcome(t, p.send(t, toSeen)), seenMX, toSeen)
	resolver.stop(t)
	checkOutcome(t, verified, p.outcome(t, p.send(t, toSeen)))
	waiting := p.send(t, toNever)
	check(t, undecided, p.outcome(t, waiting), neverMX, toNever)
	checkAnswer(t, never.name, answerTemp)

	d.stop(t)
	d.again(t)
	checkOutcome(t, verified, p.outcome(t, p.send(t, toSeen)))
	checkAnswer(t, seen.name, answerDANEOnly)
	checkAnswer(t, never.name, answerTemp)

	startUnboundAt(t, bookworm, secondAddr, conf).stopLater(t)
	awaitAnswer(t, never.name, answerDANEOnly)
	p.flush(t)
	check(t, verified, p.awaitSent(t, waiting), neverMX, toNever)
	d.stop(t)
}

// TestDANEHeld starts the daemon on a policy file that has verdicts which have
// ended, while no resolver answers: the last verdict holds for a day.
func TestDANEHeld(t *testing.T) {
	w := newBareWorld(t)
	w.cutOff()
	r := newRoot(t, bookworm)
	path := filepath.Join(r.dir, policyFile)
	r.onDisk(t)
	storeVerdict(t, path, "held.test", dane.Full, 23*time.Hour)
	storeVerdict(t, path, "partial.test", dane.Partial, time.Hour)
	storeVerdict(t, path, "none.test", dane.None, time.Hour)
	storeVerdict(t, path, "lapsed.test", dane.Full, 25*time.Hour)
	startDaemonIn(t, w, r, keepPolicies, "recheck_wait: 100ms", "answer_timeout: 1s",
		fmt.Sprintf("dns: {servers: [%q], dane: always}", authorityAddr)).stopLater(t)

	checkAnswer(t, "held.test", answerDANEOnly)
	checkAnswer(t, "partial.test", answerDANEOnly)
	checkAnswer(t, "none.test", answerSecure)
	checkAnswer(t, "lapsed.test", answerTemp)
}

// storeVerdict puts a domain into a policy file, with a policy that is enforced
// and what DANE said until so long ago.
func storeVerdict(t *testing.T, path, domain string, kind dane.Kind, ago time.Duration) {
	t.Helper()
	until := clock.System().Now().Add(-ago)
	storePolicy(t, path, domain, 26*time.Hour, store.Verdict{MX: true, Port: 25, Kind: uint8(kind), Until: until})
}
