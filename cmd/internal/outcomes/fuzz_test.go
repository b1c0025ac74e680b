package outcomes_test

import (
	"strings"
	"testing"

	"mta-sts-daemon/cmd/internal/outcomes"
)

// Whatever a line is, it counts at most one delivery, and no sample or name of it
// leaves the limits.
func FuzzLine(f *testing.F) {
	f.Add(smtp1+verifiedMX, smtp1+"Q1: to=<x@a.test>"+toMX+sentOK)
	f.Add("<22>1 2026-11-28T17:49:58.123Z mail postfix/smtp 363 - [a b=\"c\"] Q1: to=<x@a.test>"+toMX+sentOK, qmgr+"Q1"+active)
	f.Add(smtp1+"Q1: to=<x@a.test>, relay=mx.a.test[192.0.2.1]:25, delay=1,", "  tls=!secure/requiretls:none, dsn=4.7.5, status=deferred (Server certificate not verified)")
	f.Add(qmgr+"Q1: from=<s@client.test>, status=expired, returned to sender", qmgr+"Q1: removed")
	f.Add(smtp1+"warning: MX name 'mx' does not match STS MX pattern for 'a.test'", smtp1+"Q1: to=<\"a\\\">\"@x>, relay=none, status=deferred (server unavailable or unable to receive mail)")
	f.Fuzz(func(t *testing.T, first, second string) {
		tally := outcomes.NewTally(outcomes.Options{RelayHost: second})
		var before uint64
		for _, line := range []string{first, second, first, second} {
			tally.Line(line)
			s := tally.Summary()
			var n, messages, domains uint64
			for _, d := range s.Deliveries {
				n += d.Count
			}
			for _, m := range s.Messages {
				messages += m.Count
			}
			for _, d := range s.Domains {
				domains += d.Sent + d.Deferred + d.Bounced
				for _, f := range d.Failures {
					if len(f.Sample) > 2000 {
						t.Fatalf("a sample of %d bytes", len(f.Sample))
					}
				}
			}
			if n > before+1 || domains != n || messages > n {
				t.Fatalf("%q: %d deliveries after %d, of domains %d, messages %d", line, n, before, domains, messages)
			}
			before = n
		}
	})
}

// Property: untrusted text (a recipient's local part, a mail host's reply) does not
// change how the rest of a delivery line is read.
func FuzzUntrustedText(f *testing.F) {
	f.Add("x", "250 ok")
	f.Add(`a>, relay=none, status=bounced (`, `550 5.1.1 <x>: no, status=sent (TLS is required, but was not offered by host`)
	f.Add(`\">`, "Server certificate not verified")
	f.Add("x", ") status=sent (\x00\xff")
	f.Fuzz(func(t *testing.T, local, said string) {
		if strings.ContainsAny(local+said, "\r\n") {
			return // Postfix and syslog leave no line ends in a message
		}
		quoted := `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
		line := smtp1 + "Q1: to=<" + quoted + "@a.test>, orig_to=<" + quoted + "@b.test>" + toMX +
			", tls=secure, dsn=4.2.2, status=deferred (host mx.a.test[192.0.2.1] said: " + said + ")"
		s := tallyOf(outcomes.Options{Policies: policies{"a.test": outcomes.PolicySTS}}, line).Summary()
		if c := counts(s); len(c) != 2 || c["sts verified deferred"] != 1 || c["messages deferred"] != 1 || len(s.Domains) != 1 || s.Domains[0].Domain != "a.test" {
			t.Fatalf("%q: %v %v", line, c, s.Domains)
		}
	})
}

// A message of another program counts nothing, whatever is in it.
func FuzzForeign(f *testing.F) {
	f.Add("postfix/smtp[1]: Q1: to=<x@a.test>" + toMX + sentOK)
	f.Add("]: Q1: to=<x@a.test>" + toMX + sentOK)
	f.Fuzz(func(t *testing.T, text string) {
		if strings.ContainsAny(text, "\r\n") {
			return
		}
		for _, before := range []string{"Nov 28 17:49:58 mail evil[7]: ", "2026-11-28T17:49:58Z mail evil: ", "<22>1 2026-11-28T17:49:58Z mail evil 7 - - "} {
			if s := tallyOf(outcomes.Options{}, before+text).Summary(); len(s.Deliveries) > 0 || s.Incomplete > 0 {
				t.Fatalf("%q counts", before+text)
			}
		}
	})
}
