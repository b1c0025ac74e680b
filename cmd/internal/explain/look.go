package explain

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/lint"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Options are the parameters of Look besides the domain.
type Options struct {
	// Profile is how Postfix is answered.
	Profile tlspolicy.Profile
	// NoDANE is the reason why DANE is not looked up; nil if it is.
	NoDANE error
	// Daemon returns the running daemon's knowledge; nil if it is not asked.
	Daemon Asker
	// Native looks a mail host up as this host does, in /etc/hosts for example; nil if
	// its Postfix does not (smtp_host_lookup). It is asked for hosts that the DNS does not
	// have.
	Native func(ctx context.Context, host string) ([]netip.Addr, error)
	// Maps are the map names by which this host's Postfix asks; none for a plain
	// lookup. The first is judged.
	Maps []socketmap.MapName
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

	policy  *mtasts.Policy // as published; nil if failure is set
	failure error          // the reason why the domain has no policy
	dane    dane.Kind
	failed  error // the question for which dane is Unknown
	noDANE  error // why it is not known
	// resolverDown is why the resolver does not know the root zone; nil if it does.
	resolverDown error
	noReports    error                        // the reason why the domain has no valid TLSRPT record
	others       map[socketmap.MapName]string // the daemon's answers by other map names
}

// Look performs the steps of a discovery for a next hop as Postfix writes it,
// without any cache, and reports each result. ok is false if key does not stand
// for a domain that can have a policy.
func Look(ctx context.Context, c clients.Clients, key string, o Options) (r *Report, ok bool) {
	hop, ok := tlspolicy.ParseKey(key)
	if !ok {
		return nil, false
	}
	l := &look{Clients: c, Options: o, key: key, hop: hop, now: time.Now(), report: &Report{
		Domain:  hop.Domain.String(),
		Key:     typed(key, hop.Domain.String()),
		Verdict: CannotTell,
	}}
	l.report.Map = l.asked().Name
	var steps sync.WaitGroup
	for _, step := range []func(context.Context){l.discover, l.findHosts, l.askDANE, l.askTLSRPT, l.askDaemon, l.probe} {
		steps.Go(func() { step(ctx) })
	}
	steps.Wait()
	l.setReplies()
	l.matchHosts()
	l.explainDANE()
	l.adviseTesting()
	l.conclude()
	l.summarize()
	return l.report, true
}

// askDANE checks whether DANE takes precedence over the policy.
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
	l.dane, l.failed = verdict.Kind, verdict.Failed
	l.report.DANE.Verdict = verdict.Kind.String()
}

// setReplies finds the replies to Postfix.
func (l *look) setReplies() {
	r := l.report
	afresh, withheld := l.answer(l.Profile, l.asked(), l.policy)
	r.Postfix, r.Withheld = afresh, withheld
	asked := r.Daemon != nil && r.Daemon.Answer != ""
	if asked {
		r.Postfix, r.Withheld = r.Daemon.Answer, r.Daemon.Withheld
	}
	if r.Postfix != afresh {
		r.PostfixAfresh = afresh
	}
	for _, name := range l.Maps[min(len(l.Maps), 1):] {
		answer, _ := l.answer(l.Profile, name, l.policy)
		if asked {
			answer = l.others[name]
		}
		if answer != r.Postfix {
			if r.OtherMaps == nil {
				r.OtherMaps = map[string]string{}
			}
			r.OtherMaps[name.String()] = answer
		}
	}
}

// answer returns the answer of p to the results of l with a policy, and the answer that
// monitor mode withholds.
func (l *look) answer(p tlspolicy.Profile, name socketmap.MapName, policy *mtasts.Policy) (reply, withheld string) {
	return p.ReplyText(name, l.hop, resolver.Answer{Policy: policy, DANE: l.dane, Failed: l.failed}, l.noDANE)
}

// found is what would be answered without overrides and monitor mode: by the policy that
// the daemon remembers if a look finds none.
func (l *look) found() string {
	p := l.Profile
	p.Overrides, p.Monitor = tlspolicy.Overrides{}, false
	policy := l.policy
	if old := l.remembered(); policy == nil && old != nil {
		mode, _ := mtasts.ParseMode(old.Mode)
		policy = &mtasts.Policy{Mode: mode, MX: old.MX}
	}
	reply, _ := l.answer(p, l.asked(), policy)
	return reply
}

// given reports whether an override of the configuration applies.
func (l *look) given() bool {
	_, ok := l.Profile.Overrides.Find(l.hop, l.now)
	return ok
}

// stale reports whether the running daemon does not answer as the configuration file
// says.
func (l *look) stale() bool {
	return (l.Profile.Monitor || l.given()) && l.report.PostfixAfresh != ""
}

// attributes reports whether the answer has report attributes: Postfix then skips MX
// hosts that the policy does not name.
func (l *look) attributes() bool { return l.Profile.Reports(l.report.Map) }

// probe asks the resolver what every resolver with a way to other name servers knows.
func (l *look) probe(ctx context.Context) { l.resolverDown = l.DNS.Probe(ctx) }

// explainDANE says why DANE does not protect, if it does not.
func (l *look) explainDANE() {
	d := &l.report.DANE
	switch l.dane {
	case dane.None:
		switch {
		case d.Problem != "" || l.report.MX.NoName || l.report.MX.Null:
		case l.hop.MX && !l.report.MX.Authenticated && l.report.MX.Problem == "":
			d.Reason = "DNSSEC does not vouch for the MX records"
		default:
			d.Reason = "no mail host has TLSA records in a signed zone"
		}
	case dane.Unusable:
		d.Reason = "there are TLSA records, and none that can be used (usage 2 or 3)"
	case dane.Unknown:
		if l.failed != nil {
			d.Reason = l.failed.Error()
		}
	}
}

// adviseTesting warns if a policy of mode testing has no TLSRPT record: the mode
// is of no use without reports.
func (l *look) adviseTesting() {
	if l.policy == nil || l.policy.Mode != mtasts.ModeTesting || !errors.Is(l.noReports, lint.ErrNoTLSRPT) {
		return
	}
	p := l.report.Policy
	p.Findings = append(p.Findings, lint.Finding{Severity: lint.Warning,
		Text: "mode testing without a TLSRPT record: nobody receives the reports that testing is for"})
}

// asked returns the map name that is judged.
func (l *look) asked() (name socketmap.MapName) {
	if len(l.Maps) > 0 {
		name = l.Maps[0]
	}
	return name
}
