package explain

import (
	"errors"
	"fmt"
	"strings"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/socketmap"
)

// Outcome is the effect on mail to the domain of Postfix's current answer.
type Outcome string

const (
	// An enforced policy, or DANE, and at least one MX host satisfies it as far as
	// can be seen without a connection to it.
	ProtectedSTS  Outcome = "protected-sts"
	ProtectedDANE Outcome = "protected-dane"
	// Unprotected: Postfix goes by its own security level.
	Unprotected Outcome = "unprotected"
	// Unknown: the cause is on this side: resolver, network, proxy, authorities, load.
	Unknown Outcome = "unknown"
	// Deferred: mail waits for something that is wrong with the domain.
	Deferred Outcome = "deferred"
	// Undeliverable: mail is returned to its sender.
	Undeliverable Outcome = "undeliverable"
	// Broken: a policy is announced and cannot be used. Its publisher has to repair
	// it; until then mail is unprotected.
	Broken Outcome = "broken"
	// Override: the configuration answers.
	Override Outcome = "override"
)

// ExitStatus returns the exit status for the outcome.
func (r *Report) ExitStatus() int {
	switch r.Outcome {
	case ProtectedSTS, ProtectedDANE, Override:
		return 0
	case Unprotected:
		return 1
	case Deferred, Undeliverable:
		return 3
	case Broken:
		return 4
	}
	return 2
}

func (o Outcome) colour() layout.Colour {
	switch o {
	case ProtectedSTS, ProtectedDANE:
		return layout.Green
	case Deferred, Undeliverable:
		return layout.Red
	}
	return layout.Yellow
}

// conclude sets the outcome and its reason.
func (l *look) conclude() {
	r := l.report
	switch {
	case l.given() && (r.Withheld != "" || l.Profile.Monitor && !l.stale()):
		r.Outcome, r.Reason = l.withheld(Override, "an override in the configuration answers")
	case r.Withheld != "":
		r.Outcome, r.Reason = l.withheld(l.judge(r.Withheld))
	case l.given() && !l.stale():
		without, why := l.judge(l.found())
		r.Outcome = Override
		r.Reason = fmt.Sprintf("the configuration answers; without that override: %s, %s", strings.ToUpper(string(without)), why)
	default:
		r.Outcome, r.Reason = l.judge(r.Postfix)
	}
	if r.Outcome == Broken {
		result, _ := policyhost.Classify(l.failure)
		r.Result = string(result)
	}
}

// withheld is the outcome in mode monitor, which replaces an answer by NOTFOUND.
func (l *look) withheld(o Outcome, reason string) (Outcome, string) {
	switch o {
	case ProtectedSTS, ProtectedDANE, Deferred, Override:
		return Unprotected, fmt.Sprintf("mode monitor withholds the answer; in mode enforce: %s, %s", strings.ToUpper(string(o)), reason)
	}
	return o, reason
}

// judge returns the outcome of an answer, and why.
func (l *look) judge(answer string) (Outcome, string) {
	r := l.report
	status, rest, _ := strings.Cut(answer, " ")
	level, _, _ := strings.Cut(rest, " ")
	switch {
	case r.MX.Null:
		return Undeliverable, "its MX is null (RFC 7505), so it accepts no mail; Postfix returns it"
	case r.MX.NoName:
		return Undeliverable, "the domain does not exist (NXDOMAIN); Postfix returns the mail"
	case r.MX.Problem != "":
		return l.dnsFailed(), "its MX hosts cannot be looked up: " + r.MX.Problem
	case status == socketmap.Temp.String():
		return l.dnsFailed(), "Postfix gets TEMP: " + rest
	}
	if without, unknown := l.unaddressed(r.MX.Hosts); without == len(r.MX.Hosts) {
		if unknown == "" {
			return Undeliverable, "none of its mail hosts has an address; Postfix returns the mail"
		}
		return l.dnsFailed(), "no address of its mail hosts can be looked up: " + unknown
	}
	switch {
	case status != socketmap.OK.String():
		return l.judgeAbsence()
	case level == levelSecure:
		return l.judgeSecure()
	case level == levelDANEOnly || level == levelDANE:
		return l.judgeDANE(level)
	}
	return Override, "the running daemon answers by an override: " + rest
}

// dnsFailed is the outcome if a DNS question failed without which no mail is sent: the
// domain's fault if the resolver answers others.
func (l *look) dnsFailed() Outcome {
	if l.resolverDown != nil && isDNS(l.failure) && isDNS(l.noReports) {
		return Unknown
	}
	return Deferred
}

// isDNS reports whether err says that the DNS gave no answer.
func isDNS(err error) bool {
	_, ok := errors.AsType[*dnsclient.Error](err)
	return ok
}

// unaddressed counts the hosts without a known address. unknown is the error of
// one whose addresses could not be looked up; "" if all lookups succeeded.
func (l *look) unaddressed(hosts []Host) (count int, unknown string) {
	for _, h := range hosts {
		if len(h.Addresses) == 0 {
			count++
			if h.Problem != "" {
				unknown = h.Problem
			}
		}
	}
	return count, unknown
}

func (l *look) judgeSecure() (Outcome, string) {
	r := l.report
	var matched []Host
	for _, h := range r.MX.Hosts {
		if h.MatchedBy != "" {
			matched = append(matched, h)
		}
	}
	switch without, unknown := l.unaddressed(matched); {
	case len(matched) == 0 && l.attributes():
		return Deferred, "the policy names none of its MX hosts"
	case len(matched) == 0:
		return Deferred, "the policy names none of its MX hosts (unless one has a certificate for a name in the policy)"
	case without == len(matched) && unknown == "":
		return Deferred, "no MX host that the policy names has an address"
	case without == len(matched):
		return l.dnsFailed(), "no address of an MX host that the policy names can be looked up: " + unknown
	}
	reason := "MTA-STS is enforced"
	if old := l.remembered(); old != nil && l.policy == nil {
		reason = fmt.Sprintf("MTA-STS is enforced by the cached policy, until %s; a fresh look finds none: %s", date(old.Expires), r.Problem)
	}
	if n := len(r.MX.Hosts) - len(matched); n > 0 {
		reason += fmt.Sprintf("; %s not in the policy", layout.Count(n, "MX host"))
	}
	return ProtectedSTS, reason
}

func (l *look) judgeDANE(level string) (Outcome, string) {
	if l.NoDANE != nil {
		return ProtectedDANE, "the running daemon found usable TLSA records"
	}
	usable := 0
	for _, h := range l.report.MX.Hosts {
		if h.DANE == HostUsable {
			usable++
		}
	}
	switch {
	case usable > 0 && usable == len(l.report.MX.Hosts):
		return ProtectedDANE, "every mail host has usable TLSA records"
	case usable > 0 && level == levelDANEOnly:
		return ProtectedDANE, "Postfix sends only to the mail hosts with usable TLSA records"
	case usable > 0:
		return ProtectedDANE, "some of its mail hosts have usable TLSA records, mail to the others is not protected"
	case level == levelDANEOnly:
		return Deferred, "no mail host has usable TLSA records now"
	}
	return Unprotected, "DANE is opportunistic: no usable TLSA records are known"
}

// judgeAbsence is the outcome of NOTFOUND.
func (l *look) judgeAbsence() (Outcome, string) {
	r := l.report
	var policy string
	if l.policy != nil {
		policy = l.policy.Mode.String()
	}
	fetch, _ := errors.AsType[*policyhost.FetchError](l.failure)
	invalid, _ := errors.AsType[*mtasts.SyntaxError](l.failure)
	switch {
	case policy == mtasts.ModeEnforce.String() && r.Daemon != nil && r.Daemon.absence() != "":
		return Unprotected, fmt.Sprintf("the daemon %s; \"mta-sts-daemon refresh %s\" fetches the one published now", r.Daemon.absence(), r.Domain)
	case policy == mtasts.ModeEnforce.String():
		return Unprotected, "a policy is published, and the daemon does not apply it"
	case policy != "":
		return Unprotected, "the policy's mode is " + policy + ", which enforces nothing"
	case errors.Is(l.failure, mtasts.ErrNoRecord):
		return Unprotected, "it has no policy: " + r.Problem
	case invalid != nil:
		return Broken, "mail is sent without protection: " + r.Problem
	case fetch != nil && fetch.Fault == policyhost.FaultPublisher:
		return Broken, "mail is sent without protection: " + r.Problem
	case fetch != nil && fetch.Fault == policyhost.FaultDNS:
		return Unknown, "the policy host cannot be looked up: " + r.Problem
	case fetch != nil:
		return Unknown, "the policy could not be fetched, for a reason on this side: " + r.Problem
	}
	return Unknown, "whether it has a policy cannot be looked up: " + r.Problem
}
