package e2e

import (
	"fmt"
	"strings"
	"testing"
	"text/tabwriter"

	"mta-sts-daemon/e2e/internal/smtpsink"
)

// TestDANE sends a message for every row of the table, kind of server and mode
// of policy, through a Postfix that does DANE.
func TestDANE(t *testing.T) {
	w := newSignedWorld(t)
	cases := daneMatrix(w, func(r daneRow) ([2]string, [2][2]routing) { return r.answers, r.want })
	w.open(t)
	startDaemon(t, w.world, daneAlways).stopLater(t)
	deliverDANE(t, w, startPostfix(t, w.world, bookworm, doesDANE...), cases)
}

// TestDANEWithoutDNSSEC does so through a Postfix without DNSSEC, where DANE is
// left alone and the policies decide.
func TestDANEWithoutDNSSEC(t *testing.T) {
	w := newSignedWorld(t)
	cases := daneMatrix(w, func(r daneRow) ([2]string, [2][2]routing) {
		answers := [2]string{notKnown, answerSecure}
		if r.zone == "bogus.example" {
			answers[1] = answers[0] // nor is there a policy to be found
		}
		return answers, r.without
	})
	w.open(t)
	startDaemon(t, w.world).stopLater(t)
	deliverDANE(t, w, startPostfix(t, w.world, bookworm), cases)
}

// daneAlways has the daemon ask for DANE, whatever Postfix does.
var daneAlways = fmt.Sprintf("dns: {servers: [%q], dane: always}", resolverAddr)

// doesDANE are Postfix's settings for DANE.
var doesDANE = []string{"smtp_dns_support_level = dnssec", "smtp_tls_security_level = dane"}

// deliverDANE sends the messages of all cases and prints what became of them.
func deliverDANE(t *testing.T, w *signedWorld, p *postfix, cases []*daneCase) {
	t.Helper()
	t.Run("to", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.domain.name, func(t *testing.T) {
				t.Parallel()
				servers := w.startServers(t, c.domain, c.certificate, c.alias)
				rcpt := "postmaster@" + c.domain.name
				c.said = p.outcome(t, p.send(t, rcpt))
				checkOutcome(t, c.want.expectation, c.said)
				if !strings.Contains(c.said.Text, c.want.says) {
					t.Errorf("want %q, Postfix said %q", c.want.says, c.said.Text)
				}
				for i, s := range servers {
					if s != nil {
						checkTaken(t, s, rcpt, c.want, i+1)
					}
				}
				checkAnswer(t, c.domain.name, c.answer)
			})
		}
	})
	t.Log(daneTable(cases))
}

// checkTaken compares the messages that the domain's n-th server received with
// the expected ones.
func checkTaken(t *testing.T, s *sink, rcpt string, want routing, n int) {
	t.Helper()
	var expect []smtpsink.Message
	if want.server == n {
		m := smtpsink.Message{Recipient: rcpt, TLS: want.tls != ""}
		if want.expectation == verified {
			m.ServerName = s.askedAs
		}
		expect = append(expect, m)
	}
	if got := s.Received(); fmt.Sprint(got) != fmt.Sprint(expect) {
		t.Errorf("%s has taken %+v, want %+v", s.host, got, expect)
	}
}

// checkAnswer asks the daemon itself. Of answerSecure and answerTemp only the
// beginning is held against its answer.
func checkAnswer(t *testing.T, key, want string) {
	t.Helper()
	if got, err := askOnce(key); err != nil || !isAnswer(got, want) {
		t.Errorf("the daemon answers %q, %v for %s, want %q", got, err, key, want)
	}
}

func isAnswer(got, want string) bool {
	if want == answerSecure || want == answerTemp {
		return strings.HasPrefix(got, want)
	}
	return got == want
}

// daneTable is the whole test at a glance.
func daneTable(cases []*daneCase) string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\ncase\t| DANE\t| STS\t| the daemon answers\t| expected\t| Postfix said")
	for _, c := range cases {
		if c.said.Status == "" {
			continue // left out by -run, or failed
		}
		fmt.Fprintf(w, "%s\t| %s\t| %s %s\t| %s\n", c.name, strings.TrimSuffix(c.answer, " match="), c.want.status, c.want.tls, c.said)
	}
	w.Flush()
	return b.String()
}
