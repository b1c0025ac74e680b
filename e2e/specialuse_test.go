package e2e

import (
	"strings"
	"testing"
)

// TestOnion has each Postfix send mail over Tor, as far as it can see: to a name
// under .onion that its own hosts file has, while the resolver refuses such names.
// It goes out as to a domain without a policy, and as an override says.
func TestOnion(t *testing.T) {
	w := newSignedWorld(t)
	w.signer.start(t)
	conf := "\nserver:\n\tlocal-zone: \"onion.\" refuse\n" // and "." is not there at all: REFUSED or SERVFAIL
	startUnboundAt(t, bookworm, resolverAddr, conf).stopLater(t)
	daemon := startDaemon(t, w.world, daneAlways, `overrides: {b.onion: encrypt}`)
	for _, key := range []string{"abcdef.onion", "[abcdef.onion]", "[abcdef.onion]:587", "x.alt", "x.invalid", "x.localhost"} {
		checkAnswer(t, key, notKnown)
	}
	for _, key := range []string{"b.onion", "[b.onion]:587"} {
		checkAnswer(t, key, "OK encrypt")
	}
	for i, s := range suites() {
		t.Run(string(s), func(t *testing.T) {
			s.need(t)
			p := startPostfix(t, w.world, s, "smtp_host_lookup = native", "transport_maps = inline:{ "+
				"a.test=smtp:[abcdef.onion], b.test=smtp:[b.onion], c.test=smtp:[c.onion] }")
			address := "127.0.1." + string(rune('1'+i))
			hosts := "127.0.0.1 localhost\n" + address + " abcdef.onion b.onion c.onion\n"
			p.root.write(t, "etc/hosts", hosts)
			p.root.write(t, "var/spool/postfix/etc/hosts", hosts)
			mx := startSink(t, w.ca, address+":25", "abcdef.onion", selfSigned)
			for _, rcpt := range []string{"postmaster@a.test", "postmaster@b.test", "postmaster@c.test"} {
				checkOutcome(t, untrusted, p.outcome(t, p.send(t, rcpt)))
			}
			if got := mx.Received(); len(got) != 3 {
				t.Errorf("taken: %+v", got)
			}
		})
	}
	daemon.stop(t)
	lines, _ := daemon.said.snapshot()
	for _, line := range lines {
		if strings.Contains(line, "DANE could not be looked up") && strings.Contains(line, "onion") {
			t.Errorf("the DNS was asked: %s", line)
		}
	}
}

// TestNativeLookup: a smart host that only the hosts file has, while the resolver
// cannot answer for its name.
func TestNativeLookup(t *testing.T) {
	w := newSignedWorld(t)
	w.open(t)
	const host = "relay." + "bogus.example"
	for _, s := range suites() {
		for _, tt := range []struct{ name, setting, hosts, answer string }{
			{"dns", "smtp_host_lookup = dns", host, answerTemp},
			{"native", "smtp_host_lookup = native", host, notKnown},
			{"both", "smtp_host_lookup = dns, native", host, notKnown},
			{"another host", "smtp_host_lookup = dns, native", "other.bogus.example", answerTemp},
		} {
			t.Run(string(s)+"/"+tt.name, func(t *testing.T) {
				s.need(t)
				r := newRoot(t, s)
				r.write(t, "etc/postfix/main.cf", settingsFile("=", withDNSSEC, tt.setting, "compatibility_level = 3.6"))
				r.write(t, "etc/hosts", "127.0.0.1 localhost\n192.0.2.25 "+tt.hosts+"\n")
				daemon := startDaemonIn(t, w.world, r, daneAuto)
				daemon.awaitSaid(t, saysDANEOn, 1)
				checkAnswer(t, "["+host+"]:25", tt.answer)
				daemon.stop(t)
			})
		}
	}
}
