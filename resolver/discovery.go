package resolver

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/internal/stack"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
	"mta-sts-daemon/resolver/refresh"
)

// reason is why a discovery is made.
type reason int

const (
	firstDiscovery reason = iota // nothing is known of the domain
	recheck                      // its record is to be asked for again
	renewal                      // its policy is to be fetched again
	asked                        // an operator wants that now
)

// discover asks for the domain's record and, where that announces a policy
// that is not known or the one known is due, for the policy. It runs once per
// domain at a time, files what it learned and returns what that means for the
// lookups that wait. The error is why nothing newer could be learned; an answer
// is there all the same.
func (r *Resolver) discover(d mtasts.Domain, why reason) (Answer, error) {
	stack.Grow()
	s := r.settings.Load()
	now := r.clock.now()
	var known *entry
	if why == firstDiscovery {
		// The lookup found nothing in the store, which need not be asked again.
		// But it may have come here only after the discovery that would have
		// served it had ended.
		if e := r.cache.inMemory(d, now); e != nil {
			return e.answer(), nil
		}
		if r.cache.absent(d, now) {
			return Answer{}, nil
		}
	} else {
		known = r.cache.known(d, now).liveAt(now)
	}

	gates := r.doors.of(why)
	if why != asked {
		e, err := r.askFleet(gates.records, s, d, known)
		if isBusy(err) {
			return r.putOff(d, known), err
		}
		if e != known && e.settled(r.clock.now()) {
			return e.answer(), nil
		}
		known = e
	}
	record, life, err := r.lookUpRecord(gates.records, s, d)
	switch {
	case r.ctx.Err() != nil: // what failed says nothing of the domain
		return known.answer(), errClosed
	case isBusy(err):
		return r.putOff(d, known), err
	}
	lost := err != nil
	now = r.clock.now()
	next := now.add(life)
	due := known != nil && (why == asked || now >= known.refresh.get())
	switch {
	case err != nil && known == nil:
		return r.noRecord(d, next, err), err
	case err != nil:
		r.recordLost(d, known, err)
		if !due {
			return r.same(d, known, next, err), err
		}
		record.ID = known.id // RFC 8461 section 10.2: the fetch does not need the record
	case known != nil && known.id == record.ID:
		r.recordFound(d, known)
		if !due {
			return r.same(d, known, next, nil), nil
		}
	}
	if t := r.cache.trouble(d); t != nil && t.id == record.ID && now < t.due(known) && why != asked {
		return r.withoutPolicy(d, known, t, next, errTriedLately), errTriedLately
	}
	if why == renewal && known != nil && known.id == record.ID && !r.mayRenew(d, known) {
		return r.same(d, known, next, err), err
	}

	start := time.Now()
	policy, err := r.fetchPolicy(gates.fetches, s, d)
	switch {
	case r.ctx.Err() != nil: // what failed says nothing of the domain
		return known.answer(), errClosed
	case isBusy(err):
		return r.putOff(d, known), err
	}
	r.metrics.fetched(time.Since(start), err)
	if known != nil {
		r.metrics.refreshes.refreshed(known, policy, err)
	}
	if err != nil {
		now := r.clock.now()
		return r.withoutPolicy(d, known, r.cache.trouble(d).failedAgain(record.ID, now), next, err), err
	}
	return r.withPolicy(d, known, policy, record.ID, next, lost), nil
}

// isBusy tells an error that only says that too much is under way.
func isBusy(err error) bool { return errors.Is(err, errBusy) || errors.Is(err, policyhost.ErrBusy) }

// putOff answers for a discovery that was not made because too much is under
// way. Nothing was learned of the domain: one of which nothing is known can be
// looked up again at once, and a renewal comes a little later.
func (r *Resolver) putOff(d mtasts.Domain, known *entry) Answer {
	r.metrics.discoveries.busy.Inc()
	if known == nil {
		event.DiscoveryPutOff.Log(r.logger, event.Domain(d.String()))
	} else if now := r.clock.now(); now >= known.refresh.get() {
		known.refresh.set(now.add(postponed))
		r.cache.update(d, known)
	}
	return known.answer()
}

// errTriedLately is what a discovery says of a policy id that it must not try
// yet.
var errTriedLately = errors.New("the policy host failed for this id a short while ago")

// errDNS marks a lookup that the DNS could not answer.
var errDNS = errors.New("the DNS could not answer")

// lookUpRecord returns the domain's record and how long what the DNS said of
// it may be believed. The error is errBusy, mtasts.ErrNoRecord, a
// *mtasts.SyntaxError or wraps errDNS.
func (r *Resolver) lookUpRecord(g *gate, s *Settings, d mtasts.Domain) (mtasts.Record, time.Duration, error) {
	if err := g.enter(r.ctx, s.AnswerTimeout); err != nil {
		return mtasts.Record{}, 0, err
	}
	defer g.leave()
	txt, err := s.TXT.TXT(r.ctx, d.RecordName())
	if err != nil {
		return mtasts.Record{}, dnsRetry, fmt.Errorf("%w: %w", errDNS, err)
	}
	r.heard()
	record, err := mtasts.ParseRecord(txt.Records)
	return record, recordLife(txt.TTL), err
}

// fetchPolicy returns the policy that the domain's policy host serves now.
func (r *Resolver) fetchPolicy(g *gate, s *Settings, d mtasts.Domain) (mtasts.Policy, error) {
	if err := g.enter(r.ctx, s.AnswerTimeout); err != nil {
		return mtasts.Policy{}, err
	}
	defer g.leave()
	text, err := s.Policies.Fetch(r.ctx, d)
	if err != nil {
		return mtasts.Policy{}, err
	}
	return mtasts.ParsePolicy(text)
}

// noRecord files that a domain without a live policy has no record, or none
// that can be had, until then.
func (r *Resolver) noRecord(d mtasts.Domain, until moment, err error) Answer {
	r.metrics.discoveries.withoutFetch(err)
	r.tellExpired(d, err)
	r.cache.keepAbsence(d, absence{until: until})
	r.logger.Debug("No record", event.Domain(d.String()), event.Reason(err))
	return Answer{}
}

// same files that the policy known holds on, and when to look again. err is why
// the record does not say so.
func (r *Resolver) same(d mtasts.Domain, known *entry, next moment, err error) Answer {
	r.metrics.discoveries.withoutFetch(err)
	known.recheck.set(next)
	if known.next(r.clock.now(), r.cache.idle()) != known.storedNext.get() {
		r.cache.update(d, known) // it was out of use and is to be refreshed again
	}
	return known.answer()
}

// withoutPolicy files that there is a record but no policy to be fetched. A
// live policy holds all the same (RFC 8461 section 3.3).
func (r *Resolver) withoutPolicy(d mtasts.Domain, known *entry, t *trouble, next moment, err error) Answer {
	r.metrics.discoveries.noPolicy.Inc()
	next = min(next, t.due(known))
	if known == nil {
		if r.cache.trouble(d) == nil {
			event.PolicyUnavailable.Log(r.logger, event.Domain(d.String()), event.ID(t.id), event.Reason(err))
		}
		r.tellExpired(d, err)
		r.cache.keepAbsence(d, absence{until: next, trouble: t})
		return Answer{}
	}
	known.recheck.set(next)
	if known.refresh.get() != never {
		known.refresh.set(t.retry)
	}
	r.renewalFailed(d, known, t, err)
	r.cache.update(d, known)
	return known.answer()
}

// withPolicy files a policy just fetched. It replaces the one before, of
// whatever mode and max_age. lost is set where there was no record to be had.
func (r *Resolver) withPolicy(d mtasts.Domain, known *entry, p mtasts.Policy, id string, next moment, lost bool) Answer {
	r.metrics.discoveries.policy.Inc()
	now := r.clock.now()
	e := &entry{policy: p, id: id, fetched: r.clock.time(now).UTC().Truncate(time.Second), expires: now.add(p.MaxAge)}
	e.recheck.set(next)
	e.used.set(now)
	if known != nil {
		e.used.set(known.used.get())
		if t := known.trouble.Load(); lost && t != nil && t.id == "" {
			e.trouble.Store(t)
		}
	}
	r.plan(e, known, now)
	before := r.cache.known(d, now) // known, or one that has expired
	if p.MaxAge > 0 {
		r.cache.keep(d, e)
	} else {
		r.cache.forget(d, whenever)
	}
	r.share(d, e)
	r.tellPolicy(d, before, e)
	if before != nil || p.MaxAge > 0 { // or it would be done for every lookup
		r.checkMX(d, e)
	}
	return e.answer()
}

// plan sets when a policy just fetched is to be fetched again.
func (r *Resolver) plan(e, before *entry, now moment) {
	if before != nil && before.policy.Text == e.policy.Text {
		e.followUps = max(before.followUps-1, 0)
		if before.id != e.id {
			e.followUps = 2
		}
	}
	after := refresh.After(r.settings.Load().RefreshInterval, e.policy.MaxAge, rand.Float64())
	switch {
	case e.followUps == 2:
		after = min(after, firstFollowUp)
	case e.followUps == 1:
		after = min(after, secondFollowUp)
	case e.policy.Mode == mtasts.ModeNone:
		e.refresh.set(never) // RFC 8461 section 3.3
		return
	}
	e.refresh.set(now.add(after))
}
