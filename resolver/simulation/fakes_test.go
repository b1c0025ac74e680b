package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
)

var errServfail = errors.New("SERVFAIL")
var errNoAnswer = errors.New("no answer within 5s")

// pass lets time pass, unless ctx ends before.
func pass(ctx context.Context, d time.Duration) error {
	if d == 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// question returns how long a question takes and how it fails.
func (w *world) question(p *publisher) (delay time.Duration, err error) {
	switch {
	case w.dns == dnsSilent:
		return dnsTimeout, errNoAnswer
	case w.dns == dnsFails:
		return 0, errServfail
	case p == nil:
		return 0, nil
	case p.record == recordSilent:
		return dnsTimeout, errNoAnswer
	case p.record == recordFails:
		return p.recordDelay, errServfail
	}
	return p.recordDelay, nil
}

// TXT implements resolver.TXTSource.
func (n *node) TXT(ctx context.Context, name string) (a dnsclient.Answer[string], err error) {
	d, err := mtasts.ParseDomain(strings.TrimPrefix(name, "_mta-sts."))
	if err != nil {
		return a, err
	}
	var delay time.Duration
	var fault error
	var began instant
	n.w.locked(func(now instant) {
		p := n.w.of(d)
		delay, fault = n.w.question(p)
		a.TTL = time.Minute
		if p != nil && fault == nil {
			a.Records, a.TTL = p.records(), p.ttl
		}
		began = now
		n.askedTXT(d)
	})
	err = pass(ctx, delay)
	n.w.locked(func(instant) {
		if err == nil {
			err = fault
		}
		n.answeredTXT(d, began, a, err, ctx.Err() != nil)
	})
	if err != nil {
		return dnsclient.Answer[string]{}, err
	}
	return a, nil
}

// Probe implements resolver.Prober.
func (n *node) Probe(ctx context.Context) error {
	var delay time.Duration
	var fault error
	n.w.locked(func(instant) {
		delay, fault = n.w.question(nil)
		n.countQuestion()
	})
	if err := pass(ctx, delay); err != nil {
		return err
	}
	return fault
}

// MX implements resolver.MXSource.
func (n *node) MX(_ context.Context, name string) (a dnsclient.Answer[dnsclient.MX], err error) {
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		return a, err
	}
	n.w.locked(func(instant) {
		p := n.w.of(d)
		if n.w.dns != dnsWorks || p == nil {
			err = errServfail
			return
		}
		host := map[mxState]string{mxMatches: "mx." + d.String(), mxMoved: "mx.elsewhere.example", mxNull: ""}[p.mx]
		a.Records = []dnsclient.MX{{Host: host}}
	})
	return a, err
}

// Fetch implements resolver.PolicySource.
func (n *node) Fetch(ctx context.Context, d mtasts.Domain) (text string, err error) {
	var f fetch
	var p *publisher
	var delay time.Duration
	n.w.locked(func(now instant) {
		p = n.w.of(d)
		if p == nil {
			n.w.violation("%v: fetched although it has no record", d)
			err = errServfail
			return
		}
		text, delay, err = p.text, p.hostDelay, p.refusal()
		if p.host == hostHTML {
			text = "<html>"
		}
		if p.host == hostSilent {
			delay = hostTimeout
		}
		f = n.beginFetch(d, now)
	})
	if p == nil {
		return "", err
	}
	if passed := pass(ctx, delay); passed != nil {
		err = passed
	}
	n.w.locked(func(now instant) { n.endFetch(d, f, now, text, err, ctx.Err() != nil) })
	if err != nil {
		return "", err
	}
	return text, nil
}

// refusal returns how a fetch fails.
func (p *publisher) refusal() error {
	failed := func(result policyhost.Result, fault policyhost.Fault, why string) error {
		return &policyhost.FetchError{Host: p.domain.PolicyHost(), Result: result, Fault: fault, Err: errors.New(why)}
	}
	switch p.host {
	case hostRefused:
		return failed(policyhost.ResultFetchError, policyhost.FaultPublisher, "connection refused")
	case hostCertificate:
		return failed(policyhost.ResultWebPKIInvalid, policyhost.FaultPublisher, "certificate has expired")
	case hostSilent:
		return failed(policyhost.ResultFetchError, policyhost.FaultPublisher, "no answer within 60s")
	case hostDNS:
		return failed(policyhost.ResultFetchError, policyhost.FaultDNS, "SERVFAIL")
	case hostBusy:
		return &policyhost.FetchError{Host: p.domain.PolicyHost(), Result: policyhost.ResultFetchError, Fault: policyhost.FaultLoad, Err: policyhost.ErrBusy}
	case hostNoRoute:
		return failed(policyhost.ResultFetchError, policyhost.FaultLocal, "no route to host")
	}
	return nil
}

// Check implements resolver.DANEChecker.
func (n *node) Check(ctx context.Context, d mtasts.Domain, _ bool, _ uint16) (v dane.Verdict, err error) {
	n.w.locked(func(instant) {
		p := n.w.of(d)
		switch {
		case n.w.dns != dnsWorks, p != nil && p.kind == 0:
			err = fmt.Errorf("TLSA _25._tcp.mx.%v: %w", d, errServfail)
		case p == nil:
			v = dane.Verdict{Kind: dane.None, TTL: time.Minute}
		default:
			v = dane.Verdict{Kind: p.kind, TTL: p.kindTTL}
		}
	})
	if n.w.dnsIs(dnsSilent) {
		if passed := pass(ctx, dnsTimeout); passed != nil {
			err = passed
		}
	}
	n.w.locked(func(now instant) { n.checked(d, now, v, err, ctx.Err() != nil) })
	return v, err
}
