package tlspolicy

import (
	"cmp"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/tlsrpt"
	"mta-sts-daemon/socketmap"
)

// Reporter reports to a domain that its policy could not be used. Report must not wait.
type Reporter interface {
	Report(tlsrpt.Failure)
}

// noMatch is the reason that is reported for an enforced policy that names none of the
// domain's MX hosts.
const noMatch = "the policy matches none of the domain's MX hosts"

// maxLate is for how many lookups at most the end of the discovery is awaited after their
// answer. More are not reported.
const maxLate = 1000

// report reports a lookup that went without protection, or is deferred, by the fault of the
// policy's publisher. It returns at once.
//
// Overrides do not come here. If DANE or a policy applies, the reply is not "not found". A
// mismatch is reported only if the reply has report attributes: Postfix then skips each MX
// host outside the policy and reports nothing. With a plain reply it makes a session, which
// it may report itself.
func (h *Handler) report(p *Profile, hop resolver.NextHop, a resolver.Answer, r reply) {
	if a.Failure == nil && a.Later == nil && !a.MatchesNoMX || p.Reporter == nil || p.Monitor {
		return
	}
	d := hop.Domain.Clone() // the reporter keeps it
	switch {
	case r.Status == socketmap.NotFound && a.Failure != nil:
		reportFailure(p.Reporter, d, a.Failure)
	case r.Status == socketmap.NotFound && a.Later != nil:
		h.reportLater(p.Reporter, d, a.Later)
	case r.result == resultSecure && r.reporting && a.MatchesNoMX && hop.MX:
		p.Reporter.Report(tlsrpt.Failure{Domain: d, Code: tlsrpt.ValidationFailure, Reason: noMatch})
	}
}

func reportFailure(to Reporter, d mtasts.Domain, f *policies.Failure) {
	if code, ok := tlsrpt.CodeOf(f.Word); ok {
		to.Report(tlsrpt.Failure{Domain: d, Code: code, Reason: cmp.Or(f.Reason, f.Word)})
	}
}

// reportLater reports the failure that the discovery comes to. Discoveries end, at the
// latest when the resolver closes.
func (h *Handler) reportLater(to Reporter, d mtasts.Domain, later func() *policies.Failure) {
	select {
	case h.late <- struct{}{}:
	default:
		return
	}
	go func() {
		defer func() { <-h.late }()
		if f := later(); f != nil {
			reportFailure(to, d, f)
		}
	}()
}
