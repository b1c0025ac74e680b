package doctor

import (
	"fmt"
	"slices"

	"mta-sts-daemon/resolver/printable"
)

// Severity is how much a finding hurts mail.
type Severity string

// From best to worst, except Unknown, of which nothing can be said.
const (
	OK      Severity = "ok"
	Hint    Severity = "hint" // mail does not suffer, but something could be better
	Unknown Severity = "unknown"
	Problem Severity = "problem" // mail is deferred, or sent without the protection that it could have
)

// Check names the subject of a finding. The names do not change.
type Check string

// The checks.
const (
	checkConfiguration Check = "configuration"
	checkOverrides     Check = "overrides"
	checkPostfix       Check = "postfix"
	checkPolicyMaps    Check = "policy-maps"
	checkAnswers       Check = "answers"
	checkMapName       Check = "map-name"
	checkAuthorities   Check = "authorities"
	checkSecurityLevel Check = "security-level"
	checkProtocols     Check = "protocols"
	checkLogLevel      Check = "log-level"
	checkReuse         Check = "connection-reuse"
	checkRelayhost     Check = "relayhost"
	checkTLSRPT        Check = "tlsrpt"
	checkDaemon        Check = "daemon"
	checkState         Check = "state"
	checkDomains       Check = "domains"
	checkResolver      Check = "resolver"
	checkDANE          Check = "dane"
	checkClock         Check = "clock"
)

// Finding is the result of one examination. Its text is printable ASCII.
type Finding struct {
	Check    Check    `json:"check"`
	Severity Severity `json:"severity"`
	// Instance is the instance of Postfix that it is about, if there are several.
	Instance string `json:"instance,omitempty"`
	// Services are the services of master.cf that have it; none if all have it, or if it
	// is not about Postfix.
	Services []string `json:"services,omitempty"`
	Text     string   `json:"text"`
	// Remedy is what to do; empty if nothing is wrong. It is a command, or words. After a
	// command, what else may be done is in parentheses.
	Remedy string `json:"remedy,omitempty"`
}

func well(c Check, format string, args ...any) Finding {
	return Finding{Check: c, Severity: OK, Text: line(format, args)}
}

func hint(c Check, remedy, format string, args ...any) Finding {
	return Finding{Check: c, Severity: Hint, Remedy: limited(remedy), Text: line(format, args)}
}

func unknown(c Check, remedy, format string, args ...any) Finding {
	return Finding{Check: c, Severity: Unknown, Remedy: limited(remedy), Text: line(format, args)}
}

func problem(c Check, remedy, format string, args ...any) Finding {
	return Finding{Check: c, Severity: Problem, Remedy: limited(remedy), Text: line(format, args)}
}

// remedyOfPermissions is for what only root may read.
const remedyOfPermissions = "run doctor as root"

const (
	// maxText limits the text of a file that a finding repeats, in bytes.
	maxText = 600
	// maxRemedy is more than a line of main.cf should have: a command is of no use if a
	// part is missing.
	maxRemedy = 16 << 10
)

// limited is a remedy in printable form.
func limited(remedy string) string { return printable.Line(remedy, maxRemedy) }

// line is printable and short, whatever main.cf has in it.
func line(format string, args []any) string {
	return printable.Line(fmt.Sprintf(format, args...), maxText)
}

// Verdict sums up all findings.
type Verdict string

// The verdicts.
const (
	Well    Verdict = "well"         // nothing that hurts mail
	Suffers Verdict = "mail suffers" // at least one Problem
	Unclear Verdict = "unclear"      // no Problem, but not everything could be examined
)

// Report is what Examine found.
type Report struct {
	Verdict  Verdict   `json:"verdict"`
	Findings []Finding `json:"findings"`
}

func verdict(findings []Finding) Verdict {
	has := func(s Severity) bool {
		return slices.ContainsFunc(findings, func(f Finding) bool { return f.Severity == s })
	}
	switch {
	case has(Problem):
		return Suffers
	case has(Unknown):
		return Unclear
	}
	return Well
}

// ExitStatus is 0 for Well, 1 for Suffers and 2 for Unclear.
func (r Report) ExitStatus() int {
	switch r.Verdict {
	case Well:
		return 0
	case Suffers:
		return 1
	}
	return 2
}
