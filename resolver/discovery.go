package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/internal/stack"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/printable"
	"mta-sts-daemon/resolver/refresh"
)

// reason is why a discovery is made.
type reason int

const (
	firstDiscovery   reason = iota // nothing is known of the domain
	recheck                        // its record is due to be asked for again
	scheduledRefresh               // its policy is due to be fetched again
	asked                          // an operator wants that now
)

// Bounds of the time for which a record, or the absence of one, is believed; docs/rfc8461.md
// has the reasons.
const (
	minRecordLife = time.Minute
	maxRecordLife = policies.MaxRecheck

	// dnsRetry is how long a live policy's record is not asked for again after the DNS
	// failed.
	dnsRetry = 30 * time.Second
)

var (
	errClosed = errors.New("the daemon is stopping")

	// errDNS marks a question that the DNS could not answer.
	errDNS = errors.New("the DNS could not answer")

	// errGone means that the policy is gone, and that nothing was learned of another: a lookup
	// that waits needs another discovery.
	errGone = errors.New("the policy is gone")

	// errTriedLately is the outcome for a policy id that must not be fetched yet.
	errTriedLately = errors.New("the policy host failed for this id a short while ago")
)

// outcome is the result of a discovery. Every discovery has one, and file is the one place
// that stores it.
type outcome struct {
	kind   outcomeKind
	err    error             // why nothing newer was learned
	policy mtasts.Policy     // if it was fetched
	state  policies.State    // if settled without a policy
	fault  *policies.Failure // if the publisher's fault, also if that was known before
	while  func() bool       // if nothing was learned: as long as that is so
	pause  time.Duration     // if nothing was learned: no other attempt before; 0 by the number of failures
}

type outcomeKind int

const (
	settled   outcomeKind = iota // memory is current; nothing to file
	absent                       // no record
	unchanged                    // the policy known holds, and is not due
	fetched                      // a policy
	failed                       // announced, but no usable policy: the publisher has to fix it
	ignorant                     // nothing was learned of the domain: DNS, or this host's network
	refused                      // nothing was learned of the domain: too much is under way here
)

// discovery is one way through the steps.
type discovery struct {
	*Resolver
	hop      NextHop
	why      reason
	settings *Settings
	limits   limits
	began    clock.Moment

	known     *policies.Entry // live; nil without one
	record    mtasts.Record
	recordErr error          // why the record cannot be used; nil if it is valid
	recheckAt clock.Moment   // when it is due to be asked for again
	since     policies.Asked // when the discovery began, the record was asked for, or the fetch began
}

func (d *discovery) domain() mtasts.Domain { return d.hop.Domain }

// toMX reports whether a lookup for mail to the domain's MX hosts waits for the result.
func (d *discovery) toMX() bool {
	return d.hop.MX && (d.why == firstDiscovery || d.why == recheck)
}

// discover asks for the domain's record and, if that announces an unknown policy or the known
// one is due, for the policy. It runs once per domain at a time, files the outcome and returns
// the answer for the lookups that wait. The error says why nothing newer was learned; the
// answer is valid with an error too.
func (r *Resolver) discover(hop NextHop, why reason) (Answer, error) {
	stack.Grow()
	d := &discovery{Resolver: r, hop: hop, why: why, settings: r.settings.Load(), limits: r.load.of(why),
		began: r.clock.Now(), since: r.policies.Asked()}
	for _, step := range []func() *outcome{d.recall, d.askShared, d.askRecord, d.judgeRecord, d.fetch} {
		if o := step(); o != nil {
			return d.file(o)
		}
	}
	return Answer{}, nil // not reached: fetch has an outcome
}

// recall looks into memory again: the discovery that would have served this lookup may have
// ended just before it came here.
func (d *discovery) recall() *outcome {
	if d.why == firstDiscovery {
		if e := d.policies.Live(d.domain(), d.began); e != nil {
			d.known = e
			return &outcome{kind: settled}
		}
		if state, f, ok := d.policies.Negative(d.domain(), d.began); ok {
			return &outcome{kind: settled, state: state, fault: f}
		}
		return nil // the file had no live policy a moment ago, and filing asks it again
	}
	d.known = d.policies.Get(d.domain()).LiveAt(d.began)
	switch {
	case d.known == nil:
		return d.nothingToRefresh()
	case d.why == scheduledRefresh && !d.known.RefreshDue(d.began),
		d.why == recheck && !d.known.RecheckDue(d.began.Add(claimLapse+time.Second)): // the file rounds up
		return &outcome{kind: settled}
	}
	return nil
}

// nothingToRefresh ends a refresh whose policy was purged, or has expired, since it was due.
func (d *discovery) nothingToRefresh() *outcome {
	if d.why == scheduledRefresh && d.known == nil {
		return &outcome{kind: settled, err: errGone}
	}
	return nil
}

// askRecord asks for the domain's record. During an outage of the DNS, the discovery of an
// unknown domain waits for the end, for as long as a lookup waits, and then asks.
func (d *discovery) askRecord() *outcome {
	deadline := d.began.Add(d.settings.AnswerTimeout)
	for {
		if out := d.dns.outage(); out != nil {
			switch {
			case d.known != nil:
				out.suggest(d.domain())
				d.noAnswer(errOutage)
				return nil
			case !out.wait(d.ctx, d.domain(), deadline.Sub(d.clock.Now())):
				d.noAnswer(errOutage)
				return &outcome{kind: ignorant, err: d.recordErr, while: out.lasts}
			}
		}
		if o, again := d.askRecordOnce(); !again {
			return o
		}
	}
}

// askRecordOnce asks for the record. again is true if an outage began before it was asked for,
// or the answer failed to come because of one.
func (d *discovery) askRecordOnce() (o *outcome, again bool) {
	leave, o := d.enter(d.limits.records)
	if o != nil {
		return o, false
	}
	defer leave()
	if d.dns.outage() != nil {
		return nil, true
	}
	d.since = d.policies.Asked()
	txt, err := d.settings.TXT.TXT(d.ctx, d.domain().RecordName())
	switch {
	case d.ctx.Err() != nil:
		return &outcome{kind: settled, err: errClosed}, false // what failed says nothing of the domain
	case err != nil:
		d.noAnswer(err)
		outage := d.dns.failed(d.domain(), d.known != nil, d.since.At)
		if d.known != nil {
			return nil, false
		}
		return &outcome{kind: ignorant, err: d.recordErr}, outage
	}
	now := d.clock.Now()
	d.dns.answered(now)
	d.recheckAt = now.Add(recordLife(txt.TTL))
	if d.record, d.recordErr = mtasts.ParseRecord(txt.Records); d.recordErr != nil && txt.Dangles() {
		d.recordErr = fmt.Errorf("%w: %s is a CNAME of %s, which has no TXT records", d.recordErr, d.domain().RecordName(), printable.Quote(txt.Alias))
	}
	return nil, false
}

// errOutage is why no question is asked at present.
var errOutage = errors.New("no DNS server answers")

// noAnswer notes why the record is not known.
func (d *discovery) noAnswer(err error) {
	d.recordErr = fmt.Errorf("%w: %w", errDNS, err)
	d.recheckAt = d.clock.Now().Add(dnsRetry)
}

func recordLife(ttl time.Duration) time.Duration {
	return min(max(ttl, minRecordLife), maxRecordLife)
}

// judgeRecord decides by the record whether the policy is fetched.
func (d *discovery) judgeRecord() *outcome {
	if d.known == nil && errors.Is(d.recordErr, mtasts.ErrNoRecord) {
		return &outcome{kind: absent, err: d.recordErr}
	}
	now := d.clock.Now()
	due := d.known != nil && (d.why == asked || d.known.RefreshDue(now))
	switch {
	case d.recordErr != nil && d.known == nil:
		return &outcome{kind: failed, err: d.recordErr, fault: d.failure(d.recordErr, "")}
	case d.recordErr != nil:
		if !errors.Is(d.recordErr, errDNS) { // the DNS may be out for all domains: no news of this one
			d.policies.RecordGone(d.domain(), d.known, d.recordErr)
		}
		if !due {
			return &outcome{kind: unchanged, err: d.recordErr}
		}
		d.record.ID = d.known.ID() // RFC 8461 section 10.2: the fetch does not need the record
	case d.known != nil && d.known.ID() == d.record.ID:
		d.policies.RecordFound(d.domain(), d.known)
		if !due {
			return &outcome{kind: unchanged}
		}
	}
	if f := d.policies.FailureOf(d.domain(), d.record.ID); f != nil && now < f.Due(d.known != nil) && d.why != asked {
		return &outcome{kind: failed, err: errTriedLately, fault: f}
	}
	if d.why == scheduledRefresh && d.known.ID() == d.record.ID && !d.mayRefresh() {
		return &outcome{kind: unchanged, err: d.recordErr}
	}
	return nil
}

// fetch fetches the policy. A first discovery that is refused because too much is under way
// at its policy host stays queued for a while; its lookups do not wait meanwhile.
func (d *discovery) fetch() *outcome {
	until := d.clock.Now().Add(refusedFor)
	queued := false
	for {
		policy, took, o, err := d.fetchOnce()
		switch {
		case o != nil:
			return o
		case !errors.Is(err, policyhost.ErrBusy):
			if o, again := d.judgeFetch(policy, took, err); !again {
				return o
			}
			continue
		case d.why != firstDiscovery || d.clock.Now() >= until:
			return &outcome{kind: refused, err: err}
		case !queued:
			d.putOff(err, nil)
			queued = true
		}
		if !sleep(d.ctx, busyPause) {
			return &outcome{kind: settled, err: errClosed}
		}
	}
}

// busyPause is how long a policy host that is busy is left alone.
const busyPause = time.Second

func (d *discovery) fetchOnce() (policy mtasts.Policy, took time.Duration, o *outcome, err error) {
	leave, o := d.enter(d.limits.fetches)
	if o != nil {
		return policy, 0, o, nil
	}
	defer leave()
	d.policies.Observe() // a suspend that has just ended was before the fetch
	d.since = d.policies.Asked()
	text, err := d.settings.Policies.Fetch(d.ctx, d.domain())
	if d.ctx.Err() != nil {
		return policy, 0, &outcome{kind: settled, err: errClosed}, nil // what failed says nothing of the domain
	}
	if err == nil {
		policy, err = mtasts.ParsePolicy(text)
	}
	return policy, d.clock.Now().Sub(d.since.At), nil, err
}

// judgeFetch distinguishes the publisher's faults from those of this host. again is true if an
// outage of the DNS that has ended was the cause.
func (d *discovery) judgeFetch(policy mtasts.Policy, took time.Duration, err error) (o *outcome, again bool) {
	d.metrics.fetched(took, err)
	if d.known != nil {
		d.metrics.refreshes.refreshed(d.known, policy, err)
	}
	blame := d.reach.fetched(d.domain(), d.known != nil, err)
	_, fault := policyhost.Classify(err)
	switch {
	case err == nil:
		return &outcome{kind: fetched, policy: policy}, false
	case blame:
		return &outcome{kind: failed, err: err, fault: d.failure(err, d.record.ID)}, false
	case fault == policyhost.FaultPublisher: // the attempt may have reached the host
		return &outcome{kind: ignorant, err: err, pause: refresh.FirstRetry}, false
	}
	o = &outcome{kind: ignorant, err: err, pause: policies.ShortPause}
	if fault != policyhost.FaultDNS {
		return o, false
	}
	out := d.dns.lost()
	if out == nil {
		return o, false
	}
	o.while = out.lasts
	return o, d.known == nil && out.wait(d.ctx, d.domain(), d.began.Add(d.settings.AnswerTimeout).Sub(d.clock.Now()))
}

// failure is the domain's failure after this one.
func (d *discovery) failure(err error, id string) *policies.Failure {
	word, _ := policyhost.Classify(err)
	f := d.policies.Fail(d.domain(), string(word), err.Error(), id)
	f.ByClock = policyhost.DependsOnClock(err)
	return f
}

// file stores an outcome and returns the answer for the lookups that wait.
func (d *discovery) file(o *outcome) (Answer, error) {
	d.metrics.discoveries.ended(o)
	gone := d.known.LiveAt(d.clock.Now()) == nil || d.policies.Get(d.domain()) == nil // perhaps meanwhile
	if d.known != nil && (!gone || o.kind == unchanged || o.kind == settled) {
		return d.fileKnown(o)
	}
	var live *policies.Entry // by another node, or a discovery that this one knew nothing of
	switch o.kind {
	case fetched:
		return d.filePolicy(o)
	case absent:
		o.state = policies.StateAbsent
		live = d.policies.PutAbsence(d.domain(), policies.Absence{Until: d.recheckAt, Reason: o.err, Asked: d.since})
	case failed:
		o.state = policies.StateBroken
		until := d.recheckAt
		if o.fault.ID != "" {
			until = min(until, o.fault.Due(false))
		}
		live = d.policies.PutAbsence(d.domain(), policies.Absence{Until: until, Failure: o.fault, Reason: o.err, Asked: d.since})
		if live != nil && o.fault.ID != "" && live.Fetched().Before(d.clock.Origin().Wall(d.began)) { // the clock was set
			d.policies.RefreshFailed(d.domain(), live, o.fault, d.recheckAt)
		}
	case ignorant:
		live = d.policies.PutIgnorance(d.domain(), policies.Ignorance{Pause: o.pause, While: o.while, Reason: o.err, Asked: d.since})
	case refused:
		d.putOff(o.err, o.while)
		live = d.policies.Live(d.domain(), d.clock.Now())
	}
	if o.err != nil {
		d.logger.LogAttrs(d.ctx, slog.LevelDebug, "No policy", event.Domain(d.domain().String()), event.Reason(o.err))
	}
	if live == nil {
		return d.without(o.state, o.fault), o.err
	}
	return answer(live), o.err
}

// fileKnown files an outcome for a domain with a live policy, which holds unless another one
// was fetched (RFC 8461 section 3.3).
func (d *discovery) fileKnown(o *outcome) (Answer, error) {
	switch o.kind {
	case fetched:
		return d.filePolicy(o)
	case unchanged:
		d.policies.Recheck(d.domain(), d.known, d.recheckAt)
	case failed:
		e := d.known
		if now := d.policies.Get(d.domain()); now != nil && now.ID() != o.fault.ID && !d.policies.Void(d.domain(), d.since) {
			e = now // perhaps another node's, which has not fetched the id that failed
		}
		d.policies.RefreshFailed(d.domain(), e, o.fault, d.recheckAt)
	case refused:
		d.metrics.discoveries.busy.Inc()
		d.policies.Postpone(d.domain(), d.known, policies.ShortPause, o.err)
	case ignorant:
		pause := max(o.pause, policies.ShortPause)
		d.policies.Recheck(d.domain(), d.known, d.clock.Now().Add(pause)) // a new id would be fetched again
		d.policies.Postpone(d.domain(), d.known, pause, o.err)
	}
	news := d.toMX() && d.policies.UsedForMX(d.domain(), d.known)     // another node has fetched it
	if news || o.kind != settled && !errors.Is(d.recordErr, errDNS) { // with every answer about the record
		d.background(func() { d.judgeMX(d.domain()) })
	}
	// Not d.known: lookups that began after a purge may wait for this answer.
	live := d.policies.Get(d.domain()).LiveAt(d.clock.Now())
	if live == nil && (o.kind == unchanged || o.kind == settled && o.err == nil) {
		return Answer{}, errGone // it was purged, or evicted without room in the file
	}
	return answer(live), o.err
}

// filePolicy files a policy just fetched. It replaces the one before, of whatever mode and
// max_age.
func (d *discovery) filePolicy(o *outcome) (Answer, error) {
	before := d.policies.Get(d.domain())
	e := d.policies.Put(d.domain(), policies.Fetch{
		Policy:     o.policy,
		ID:         d.record.ID,
		Recheck:    d.recheckAt,
		RecordLost: d.recordErr != nil,
		Asked:      d.since,
		Known:      d.known,
		ToMX:       d.toMX(),
	})
	if e != before { // Put returns another node's policy if that is newer
		d.share(e)
	}
	if before != nil || o.policy.MaxAge > 0 { // or it would be done for every lookup
		d.background(func() { d.judgeMX(d.domain()) })
	}
	return answer(e), nil
}

// judgeMX compares the domain's MX hosts with its policy. No lookup waits for it.
func (r *Resolver) judgeMX(d mtasts.Domain) {
	if !r.policies.NeedsMX(d) {
		return
	}
	asked := r.clock.Now()
	if mx, err := r.settings.Load().MX.MX(r.ctx, d.String()); err == nil {
		r.policies.JudgeMX(d, mailHosts(d, mx), asked)
	}
}

// refusedFor is how long lookups of a domain do not wait again after its discovery was
// refused for load.
const refusedFor = time.Minute

// putOff files that a first discovery is queued or was refused because too much is under
// way, as long as that lasts and for refusedFor at most.
func (d *discovery) putOff(why error, while func() bool) {
	if d.why != firstDiscovery {
		return
	}
	d.metrics.discoveries.busy.Inc()
	event.DiscoveryPutOff.Log(d.logger, event.Domain(d.domain().String()))
	d.policies.PutIgnorance(d.domain(), policies.Ignorance{Pause: refusedFor, While: while, Reason: why, Asked: d.policies.Asked()})
}

// sleep waits, and returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
