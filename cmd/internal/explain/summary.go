package explain

import (
	"fmt"
	"strings"

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

// summarize says in plain words what becomes of mail to the domain: what Postfix
// does, whence it has that, and what would defer the mail.
func (l *look) summarize() {
	status, rest, _ := strings.Cut(l.report.Postfix, " ")
	level, _, _ := strings.Cut(rest, " ")
	if status != socketmap.OK.String() {
		level = ""
	}
	l.sayPostfix(status, level, rest)
	overridden := l.overridden()
	switch {
	case (l.Profile.Monitor || overridden) && l.report.PostfixAfresh != "":
		l.say("The running daemon does not answer as the configuration file says: it may not have loaded it.")
		overridden = false
	case l.Profile.Monitor:
		l.say("mode: monitor in the configuration withholds every answer.")
	case overridden:
		l.say("An override in the configuration says so, whatever the domain publishes.")
	default:
		l.sayPolicy(level)
	}
	l.sayHosts()
	if !overridden {
		l.sayDeferred(level)
	}
	l.sayMemory()
	l.sayCertificate()
}

// sayPostfix explains the answer itself.
func (l *look) sayPostfix(status, level, rest string) {
	d := l.report.Domain
	switch {
	case status == socketmap.NotFound.String():
		l.say("Postfix gets no TLS policy for %s and does what smtp_tls_security_level says: if mail is deferred, that is not for MTA-STS.", d)
	case status != socketmap.OK.String():
		l.say("Postfix defers all mail to %s and asks again later: %s.", d, rest)
	case level == levelSecure:
		l.say("Postfix sends mail to %s over TLS alone, to servers with a valid certificate for a name that the answer lists.", d)
	case level == levelDANEOnly:
		l.say("Postfix sends mail to %s only to MX hosts whose certificates match their TLSA records (DANE).", d)
	case level == levelDANE:
		l.say("Postfix holds MX hosts of %s to their TLSA records (DANE) where they have any, and uses TLS with the others if they offer it.", d)
	default:
		l.say("Postfix sends mail to %s by its level %s.", d, level)
	}
}

// sayPolicy says whence the answer comes.
func (l *look) sayPolicy(level string) {
	p, old, daemon := l.policy, l.remembered(), l.report.Daemon
	switch {
	case p == nil && old == nil && l.report.Verdict == NoPolicy:
		l.say("The domain has no policy: %s.", l.report.Problem)
	case p == nil && old == nil && l.report.Record.ID != "":
		l.say("The domain announces a policy that cannot be had now; until it can, mail is sent as without one.")
	case p == nil && old == nil:
		l.say("Whether the domain has a policy cannot be told now; until it can, mail is sent as without one.")
	case level == "" && p != nil && l.report.PostfixAfresh != "" && daemon.Known != nil && !daemon.Known.NoneUntil.IsZero():
		l.say("The daemon remembers until %s that there was no policy; after that it finds the one published now.", date(daemon.Known.NoneUntil))
	case level == "" && p != nil && p.Mode != mtasts.ModeEnforce:
		l.say("The policy's mode is %v, which keeps back no mail.", p.Mode)
	}
}

// sayHosts says what is wrong with the mail hosts themselves.
func (l *look) sayHosts() {
	mx := l.report.MX
	if mx.Problem != "" {
		l.say("Where the mail goes cannot be looked up now; while Postfix cannot either, it defers the mail.")
	}
	if mx.Null {
		l.say("The domain accepts no mail: its MX is null (RFC 7505). Postfix returns it to the sender.")
	}
	var without []string
	for _, h := range mx.Hosts {
		if len(h.Addresses) == 0 {
			without = append(without, h.Name)
		}
	}
	if len(without) > 0 {
		l.say("No address was found of %s, so mail cannot go there.", some(without, maxNamed))
	}
}

// sayDeferred says what would defer the mail at each level.
func (l *look) sayDeferred(level string) {
	hosts := l.report.MX.Hosts
	switch level {
	case levelSecure:
		l.sayUnmatched(hosts)
		l.say("Mail is deferred while no MX host offers STARTTLS with a certificate that has not expired, comes from an authority that Postfix trusts and has such a name. MX hosts are not connected to here.")
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
		l.say("Mail is deferred while no MX host shows a certificate that matches its TLSA records. MX hosts are not connected to here.")
	case levelDANE:
		l.say("Mail is deferred while every MX host has TLSA records that its certificate does not match, or that cannot be looked up. MX hosts are not connected to here.")
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
	case len(unmatched) == 0:
	case len(unmatched) == len(hosts):
		l.say("Here no MX host matches the policy: mail to %s will be deferred, unless a certificate has a name that does.", l.report.Domain)
	default:
		l.say("%s: no mx of the policy matches. Postfix sends nothing there, unless the certificate has a name that one does.", some(unmatched, maxNamed))
	}
}

func (l *look) sayCertificate() {
	host := l.report.PolicyHost
	if host == nil || host.Certificate == nil || host.Certificate.Problem != "" {
		return
	}
	if left := host.Certificate.DaysLeft; left < endsSoon {
		l.say("The policy host's certificate ends in %s; after that the policy cannot be renewed.", counted(left, "day"))
	}
}
