package simulation

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock/clocktest"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
)

// instant is the true time since the world began, suspends included.
type instant = time.Duration

// world is what surrounds the daemon: publishers, the DNS and the machine's clocks.
type world struct {
	machine *clocktest.Machine
	began   time.Time
	dir     string // of policy files
	verbose bool

	mu         sync.Mutex // guards everything in the world and in the model
	slept      time.Duration
	wall       time.Duration // by which the wall clock is ahead of true time
	walls      []wallChange  // the latest ones
	boots      int
	publishers []*publisher
	dns        dnsState
	dnsSince   instant // of dns
	node       *node
	violations []string
	log        []string
}

type wallChange struct {
	until instant
	wall  time.Duration // before
}

type dnsState int

const (
	dnsWorks dnsState = iota
	dnsFails
	dnsSilent
)

type recordState int

const (
	recordOK recordState = iota
	recordGone
	recordTwice
	recordMalformed
	recordFails
	recordSilent
)

type hostState int

const (
	hostOK hostState = iota
	hostRefused
	hostCertificate
	hostSilent
	hostHTML
	hostDNS
	hostBusy
	hostNoRoute
)

// dnsTimeout is how long a silent server is waited for, hostTimeout is fetch.timeout.
const (
	dnsTimeout  = 5 * time.Second
	hostTimeout = 60 * time.Second
)

// publisher is the owner of one domain.
type publisher struct {
	domain mtasts.Domain

	record      recordState
	id          int
	ttl         time.Duration
	recordDelay time.Duration

	host      hostState
	text      string
	version   int // of the text
	mode      mtasts.Mode
	maxAge    time.Duration
	hostDelay time.Duration

	mx      mxState
	kind    dane.Kind // 0: the question fails
	kindTTL time.Duration

	changed instant
}

type mxState int

const (
	mxMatches mxState = iota
	mxMoved
	mxNull
)

func newWorld(now func() time.Time, dir string) *world {
	return &world{machine: clocktest.NewMachine(now, "boot 0", time.Hour), began: now(), dir: dir}
}

// domain returns the name of the domain with that number.
func domain(n int) mtasts.Domain {
	d, err := mtasts.ParseDomain(fmt.Sprintf("d%d.example", n))
	if err != nil {
		panic(err)
	}
	return d
}

// now returns the true time.
func (w *world) now() instant { return time.Since(w.began) + w.slept }

// locked runs fn with the world at rest.
func (w *world) locked(fn func(now instant)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	fn(w.now())
}

func (w *world) publisher(n int64) *publisher { return w.publishers[int(n)%len(w.publishers)] }

// of returns the owner of a domain, nil for names that do not exist.
func (w *world) of(d mtasts.Domain) *publisher {
	for _, p := range w.publishers {
		if p.domain == d {
			return p
		}
	}
	return nil
}

// violation notes that a rule was broken.
func (w *world) violation(format string, args ...any) {
	text := fmt.Sprintf("%v: ", w.now()) + fmt.Sprintf(format, args...)
	w.violations = append(w.violations, text)
	w.note("VIOLATION %s", text)
}

// note adds to the log of a verbose run.
func (w *world) note(format string, args ...any) {
	if w.verbose {
		w.log = append(w.log, fmt.Sprintf("%-14v ", w.now())+fmt.Sprintf(format, args...))
	}
}

// write makes the text of the publisher's policy.
func (p *publisher) write(mode mtasts.Mode, maxAge time.Duration, padding int) {
	p.version++
	p.mode, p.maxAge = mode, maxAge
	p.text = fmt.Sprintf("version: STSv1\nmode: %v\nmx: mx.%v\nmax_age: %d\nversion_of_text: %d\n",
		mode, p.domain, int(maxAge.Seconds()), p.version)
	for len(p.text) < padding {
		p.text += "padding: " + strings.Repeat("x", 70) + "\n"
	}
}

// healthy: the record can be asked for and the policy fetched.
func (p *publisher) healthy() bool { return p.record == recordOK && p.host == hostOK }

func (p *publisher) recordID() string { return fmt.Sprintf("id%d", p.id) }

// records returns what the DNS has at _mta-sts.D.
func (p *publisher) records() []string {
	valid := "v=STSv1; id=" + p.recordID() + ";"
	switch p.record {
	case recordOK:
		return []string{"v=spf1 -all", valid}
	case recordTwice:
		return []string{valid, valid}
	case recordMalformed:
		return []string{"v=STSv1; id=not-an-id;"}
	}
	return nil
}

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
		return failed(policyhost.ResultFetchError, policyhost.FaultLoad, "too many connections")
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

func (w *world) dnsIs(s dnsState) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dns == s
}
