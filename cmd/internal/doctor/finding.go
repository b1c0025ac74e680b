package doctor

import (
	"fmt"
	"slices"

	"mta-sts-daemon/resolver/printable"
)

// Severity is how much mail suffers by a finding.
type Severity string

// From best to worst, but that nothing can be said of Unknown.
const (
	OK      Severity = "ok"
	Hint    Severity = "hint" // mail does not suffer, but something is not as it might be
	Unknown Severity = "unknown"
	Problem Severity = "problem" // mail is deferred, or sent without the protection there is
)

// Check names what was looked at. The names do not change.
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
	checkReuse         Check = "connection-reuse"
	checkRelayhost     Check = "relayhost"
	checkTLSRPT        Check = "tlsrpt"
	checkDaemon        Check = "daemon"
	checkState         Check = "state"
	checkResolver      Check = "resolver"
	checkDANE          Check = "dane"
	checkClock         Check = "clock"
)

// Finding is one thing that was looked at. Its text is printable ASCII.
type Finding struct {
	Check    Check    `json:"check"`
	Severity Severity `json:"severity"`
	// Instance is the instance of Postfix that it is about, if there are several.
	Instance string `json:"instance,omitempty"`
	// Services are the services of master.cf that it is true of; none if that is
	// all of them, or if it is not about Postfix.
	Services []string `json:"services,omitempty"`
	Text     string   `json:"text"`
	// Remedy is what to do; empty where nothing is wrong.
	Remedy string `json:"remedy,omitempty"`
}

func well(c Check, format string, args ...any) Finding {
	return Finding{Check: c, Severity: OK, Text: line(format, args)}
}

func hint(c Check, remedy, format string, args ...any) Finding {
	return Finding{Check: c, Severity: Hint, Remedy: line("%s", []any{remedy}), Text: line(format, args)}
}

func unknown(c Check, remedy, format string, args ...any) Finding {
	return Finding{Check: c, Severity: Unknown, Remedy: line("%s", []any{remedy}), Text: line(format, args)}
}

func problem(c Check, remedy, format string, args ...any) Finding {
	return Finding{Check: c, Severity: Problem, Remedy: line("%s", []any{remedy}), Text: line(format, args)}
}

// remedyOfPermissions is for what only root may look at.
const remedyOfPermissions = "run doctor as root"

// maxText bounds what a finding repeats of a file.
const maxText = 600

// line is printable and short, whatever main.cf has in it.
func line(format string, args []any) string {
	return printable.Line(fmt.Sprintf(format, args...), maxText)
}

// Verdict is what all findings come to.
type Verdict string

// The verdicts.
const (
	Well    Verdict = "well"         // nothing that hurts mail
	Suffers Verdict = "mail suffers" // at least one Problem
	Unclear Verdict = "unclear"      // no Problem, but not all could be looked at
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
