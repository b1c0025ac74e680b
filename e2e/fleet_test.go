package e2e

import (
	"fmt"
	"strings"
	"testing"

	"mta-sts-daemon/e2e/internal/isolated"
	"mta-sts-daemon/e2e/internal/smtpsink"
)

// answers is which of the daemon's answers an instance of Postfix asks for.
type answers string

const (
	plain          answers = ""
	withAttributes answers = "attributes"
)

// reportingMap answers with report attributes.
const reportingMap = "socketmap:inet:" + daemonAddr + ":QUERYwithTLSRPT"

// instance is a Postfix of a fleet.
type instance struct {
	*postfix // nil if its suite is left out
	suite    suite
	answers  answers
}

// fleet is instances of Postfix in every version, side by side in one world.
type fleet []instance

// startFleet starts a Postfix of every suite for each kind of answers. settings
// are as for startPostfix.
func startFleet(t *testing.T, w *world, kinds []answers, settings ...string) fleet {
	t.Helper()
	return startFleetOf(t, w, suites(), kinds, settings...)
}

// startFleetOf does so for some suites alone.
func startFleetOf(t *testing.T, w *world, some []suite, kinds []answers, settings ...string) (f fleet) {
	t.Helper()
	for _, kind := range kinds {
		for _, s := range some {
			p := instance{suite: s, answers: kind}
			if s.leftOut() == "" {
				own := append([]string{"myhostname = " + p.host()}, settings...)
				if kind == withAttributes {
					own = append(own, "smtp_tls_policy_maps = "+reportingMap)
				}
				p.postfix = startPostfix(t, w, s, own...)
			}
			f = append(f, p)
		}
	}
	return f
}

// leftOut returns the reason why the suite is not available, or "".
func (s suite) leftOut() string { return isolated.LeftOut(string(s)) }

// need skips a test if the suite is not available.
func (s suite) need(t *testing.T) {
	t.Helper()
	if reason := s.leftOut(); reason != "" {
		t.Skipf("left out, Postfix of Debian %s: %s", s, reason)
	}
}

// name tells the instances of a fleet apart.
func (p instance) name() string {
	if p.answers == plain {
		return string(p.suite)
	}
	return string(p.suite) + "-" + string(p.answers)
}

// host is the name of the instance in its EHLO.
func (p instance) host() string { return p.name() + "." + senderHost }

// each runs a subtest for every instance, one after the other. Those left out
// are skipped.
func (f fleet) each(t *testing.T, test func(t *testing.T, p instance)) {
	t.Helper()
	for _, p := range f {
		t.Run(p.name(), func(t *testing.T) {
			p.suite.need(t)
			test(t, p)
		})
	}
}

// wanted says what each instance must do with a message.
type wanted func(p instance) expectation

// send gives each instance a message to rcpt.
func (f fleet) send(t *testing.T, rcpt string) (queueIDs map[string]string) {
	t.Helper()
	return f.sendWith(t, rcpt, noTLSRequest)
}

func (f fleet) sendWith(t *testing.T, rcpt string, request tlsRequest) (queueIDs map[string]string) {
	t.Helper()
	queueIDs = make(map[string]string)
	for _, p := range f {
		if p.postfix != nil {
			queueIDs[p.name()] = p.postfix.sendWith(t, rcpt, request.header, request.options...)
		}
	}
	return queueIDs
}

// deliver sends a message to rcpt from each instance at the same time, and
// compares the outcomes, and the messages that mx received, with the expectation.
// row is the case's row in the matrix.
func (f fleet) deliver(t *testing.T, row *row, rcpt string, mx *sink, want wanted) {
	t.Helper()
	f.deliverWith(t, row, rcpt, noTLSRequest, mx, want)
}

// deliverWith does so with messages that make a request about TLS.
func (f fleet) deliverWith(t *testing.T, row *row, rcpt string, request tlsRequest, mx *sink, want wanted) {
	t.Helper()
	queueIDs := f.sendWith(t, rcpt, request)
	f.each(t, func(t *testing.T, p instance) {
		got := p.outcome(t, queueIDs[p.name()])
		row.record(p, got)
		p.checkRequest(t, want(p), got, mx, rcpt, request)
		if reason := p.reason(want(p), rcpt); reason != "" {
			p.master.awaitSaid(t, reason, 1)
		}
	})
}

// reason is the text that the log must have for an outcome, or "".
func (p instance) reason(want expectation, rcpt string) string {
	_, domain, _ := strings.Cut(rcpt, "@")
	switch {
	case want == notNamed:
		return fmt.Sprintf("does not match STS MX pattern for '%s'", domain)
	case want == undecided && p.answers == withAttributes && p.suite == bookworm:
		return `invalid attribute name: "policy_type"`
	default:
		return ""
	}
}

// check is the check of one instance's outcome, and of what mx has taken from
// it since the last.
func (p instance) check(t *testing.T, want expectation, got outcome, mx *sink, rcpt string) {
	t.Helper()
	p.checkRequest(t, want, got, mx, rcpt, noTLSRequest)
}

// checkRequest is check for a message that makes a request about TLS.
func (p instance) checkRequest(t *testing.T, want expectation, got outcome, mx *sink, rcpt string, request tlsRequest) {
	t.Helper()
	checkOutcome(t, p.inItsWords(want), got)
	checkMessages(t, want, mx, mx.Collect(p.host()), smtpsink.Message{Recipient: rcpt, RequireTLS: p.passesOn(request)})
}

// inItsWords is an expectation as this version logs it: Postfix 3.10 and later
// call a certificate trusted where only the name is wrong.
func (p instance) inItsWords(want expectation) expectation {
	if want == mismatch && p.suite != bookworm {
		want.tls = trusted.tls
	}
	return want
}

// always is what all instances must do.
func always(want expectation) wanted { return func(instance) expectation { return want } }

// underPolicy is what all instances must do under a policy in force: Postfix
// before 3.10 does not know report attributes, and defers mail.
func underPolicy(want expectation) wanted { return strictly(want, want) }

// strictly is underPolicy where report attributes make a difference.
func strictly(want, reported expectation) wanted {
	return func(p instance) expectation {
		switch {
		case p.answers == plain:
			return want
		case p.suite == bookworm:
			return undecided
		default:
			return reported
		}
	}
}
