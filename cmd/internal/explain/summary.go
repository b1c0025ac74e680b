package explain

import (
	"fmt"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// Postfix's security levels that the summary explains (postconf(5)
// smtp_tls_policy_maps).
const (
	levelSecure   = "secure"
	levelDANEOnly = "dane-only"
	levelDANE     = "dane"
)

// maxNamed bounds how many names one sentence has.
const maxNamed = 5

// endsSoon is how many days before a certificate's end it should have been
// replaced.
const endsSoon = 14

func (l *look) say(format string, args ...any) {
	l.report.Summary = append(l.report.Summary, fmt.Sprintf(format, args...))
}

// summarize says in plain words what Postfix does with mail to the domain, why it gets
// that answer, and what would defer the mail.
func (l *look) summarize() {
	status, rest, _ := strings.Cut(l.report.Postfix, " ")
	level, _, _ := strings.Cut(rest, " ")
	if status != socketmap.OK.String() {
		level = ""
	}
	if l.report.Outcome != Undeliverable {
		l.sayPostfix(status, level, rest)
	}
	given := l.given() && !l.stale()
	switch {
	case l.stale():
		l.say("The running daemon does not answer as the configuration file says: it may not have loaded it (mta-sts-daemon reload).")
	case l.Profile.Monitor:
		l.say("mode: monitor in the configuration withholds every answer.")
	case given:
		l.say("An override in the configuration answers, whatever the domain publishes.")
	case status == socketmap.NotFound.String() && l.report.MX.Problem == "":
		l.sayPolicy()
	}
	l.sayHosts()
	if !given {
		l.sayDeferred(level)
		l.sayMemory()
	}
	l.sayCertificate()
}

// sayPostfix explains the answer itself.
func (l *look) sayPostfix(status, level, rest string) {
	d := l.report.Domain
	switch {
	case status == socketmap.NotFound.String():
		l.say("Postfix gets no TLS policy for %s and uses smtp_tls_security_level. If mail is deferred, MTA-STS is not the cause.", d)
	case status != socketmap.OK.String():
		l.say("Postfix defers all mail to %s and tries again later.", d)
	case level == levelSecure:
		l.say("Postfix sends mail to %s only over TLS, to servers with a valid certificate for a name in the answer.", d)
	case level == levelDANEOnly:
		l.say("Postfix sends mail to %s only to MX hosts whose certificates match their TLSA records (DANE).", d)
	case level == levelDANE:
		l.say("Postfix checks MX hosts of %s against their TLSA records (DANE) if they have any, and uses TLS with the others if they offer it.", d)
	default:
		l.say("Postfix sends mail to %s by the level %s.", d, level)
	}
}

// sayPolicy explains why the answer is NOTFOUND.
func (l *look) sayPolicy() {
	p, old, daemon := l.policy, l.remembered(), l.report.Daemon
	switch {
	case p == nil && old == nil && l.report.Record.ID != "":
		l.say("The domain announces a policy that cannot be used now; until it can, mail is sent without protection.")
	case p == nil && old == nil && l.report.Verdict == CannotTell:
		l.say("Until the lookup succeeds, mail is sent without protection.")
	case p != nil && l.report.PostfixAfresh != "" && daemon.absence() != "":
		l.say("The daemon %s. To use the one published now: mta-sts-daemon refresh %s", daemon.absence(), l.report.Domain)
	case p != nil && p.Mode != mtasts.ModeEnforce:
		l.say("The policy's mode is %v, which defers no mail.", p.Mode)
	}
}

// sayHosts reports problems of the mail hosts themselves.
func (l *look) sayHosts() {
	mx := l.report.MX
	var without []string
	for _, h := range mx.Hosts {
		if len(h.Addresses) == 0 {
			without = append(without, h.Name)
		}
	}
	if len(without) > 0 {
		l.say("No address of %s was found, so no mail can go there.", some(without, maxNamed))
	}
}

// sayDeferred says what would defer the mail at each level.
func (l *look) sayDeferred(level string) {
	hosts := l.report.MX.Hosts
	switch level {
	case levelSecure:
		l.sayUnmatched(hosts)
		l.say("Mail is deferred while no MX host offers STARTTLS with a valid certificate for such a name, from an authority that Postfix trusts. query does not connect to MX hosts.")
	case levelDANEOnly:
		var without []string
		for _, h := range hosts {
			if h.DANE != HostUsable {
				without = append(without, h.Name)
			}
		}
		if len(without) > 0 {
			l.say("Nothing is sent to %s: no usable TLSA records are known.", some(without, maxNamed))
		}
		l.say("Mail is deferred while no MX host shows a certificate that matches its TLSA records. query does not connect to MX hosts.")
	case levelDANE:
		l.say("Mail is deferred while every MX host has TLSA records that its certificate does not match, or that cannot be looked up. query does not connect to MX hosts.")
	}
}

func (l *look) sayUnmatched(hosts []Host) {
	var unmatched []string
	for _, h := range hosts {
		if h.MatchedBy == "" {
			unmatched = append(unmatched, h.Name)
		}
	}
	switch {
	case len(unmatched) == 0 || len(unmatched) == len(hosts): // the outcome says that
	case l.attributes():
		l.say("The policy does not name %s. Postfix sends nothing there.", some(unmatched, maxNamed))
	default:
		l.say("The policy does not name %s. Postfix sends nothing there, unless the certificate is for a name in the policy.", some(unmatched, maxNamed))
	}
}

func (l *look) sayCertificate() {
	host := l.report.PolicyHost
	if host == nil || host.Certificate == nil || host.Certificate.Problem != "" {
		return
	}
	if left := host.Certificate.DaysLeft; left < endsSoon {
		l.say("The policy host's certificate ends in %s; after that the policy cannot be fetched.", layout.Count(left, "day"))
	}
}
