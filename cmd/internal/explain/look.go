package explain

import (
	"context"
	"fmt"
	"sync"
	"time"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Options are what a look depends on beside the domain.
type Options struct {
	// Profile is how Postfix is answered.
	Profile tlspolicy.Profile
	// NoDANE says why DANE is not looked up; nil where it is.
	NoDANE error
	// Daemon is asked what it remembers; nil for none.
	Daemon Asker
}

// look is one look at a next hop. Its steps go side by side, each with fields of
// its own.
type look struct {
	clients.Clients
	Options
	key    string
	hop    resolver.NextHop
	now    time.Time
	report *Report

	policy *mtasts.Policy // as published; nil where there is none
	dane   dane.Kind
	noDANE error // why it is not known
}

// Look goes the way of a discovery for a next hop as Postfix writes it, afresh,
// and says what comes of it. ok is false where no domain with a policy is meant
// by key.
func Look(ctx context.Context, c clients.Clients, key string, o Options) (r *Report, ok bool) {
	hop, ok := tlspolicy.ParseKey(key)
	if !ok {
		return nil, false
	}
	l := &look{Clients: c, Options: o, key: key, hop: hop, now: time.Now(), report: &Report{
		Domain:  hop.Domain.String(),
		Verdict: CannotTell,
	}}
	var steps sync.WaitGroup
	for _, step := range []func(context.Context){l.discover, l.findHosts, l.askDANE, l.askTLSRPT, l.askDaemon} {
		steps.Go(func() { step(ctx) })
	}
	steps.Wait()
	l.tell()
	l.matchHosts()
	l.summarize()
	return l.report, true
}

// askDANE finds out what goes before the policy.
func (l *look) askDANE(ctx context.Context) {
	l.dane = dane.None
	if l.NoDANE != nil {
		l.report.DANE.Problem = "not looked up: " + l.NoDANE.Error()
		return
	}
	verdict, err := dane.New(l.DNS).Check(ctx, l.hop.Domain, l.hop.MX, l.hop.Port)
	if err != nil {
		l.report.DANE.Problem = err.Error()
		l.noDANE = fmt.Errorf("%w: %w", resolver.ErrDANEUnknown, err)
		return
	}
	l.dane = verdict.Kind
	l.report.DANE.Verdict = verdict.Kind.String()
}

// tell finds out what Postfix gets.
func (l *look) tell() {
	afresh := l.answer(l.Profile)
	l.report.Postfix = afresh
	if d := l.report.Daemon; d != nil && d.Answer != "" && d.Answer != afresh {
		l.report.Postfix, l.report.PostfixAfresh = d.Answer, afresh
	}
}

// answer is what p makes of what was found.
func (l *look) answer(p tlspolicy.Profile) string {
	told, _ := p.Tell("", l.hop, resolver.Answer{Policy: l.policy, DANE: l.dane}, l.noDANE)
	return told
}

// overridden reports whether the configuration answers in place of what was
// found.
func (l *look) overridden() bool {
	found := l.Profile
	found.Overrides = tlspolicy.Overrides{}
	return l.answer(found) != l.answer(l.Profile)
}
