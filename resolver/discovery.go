package resolver

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
)

// discover asks for the domain's record and, where that announces a policy
// that is not known yet, for the policy. It runs once per domain at a time,
// files what it learned and returns what that means for the lookups that wait.
func (r *Resolver) discover(d mtasts.Domain) Answer {
	s := r.settings.Load()
	known := r.cache.policy(d, r.now())
	if known == nil {
		// A lookup may have missed in memory and come here only after the
		// discovery that would have served it had ended.
		if a, ok := r.Cached(NextHop{Domain: d}); ok {
			return a
		}
	}

	record, life, err := lookUpRecord(r.ctx, s.TXT, d)
	now := r.now()
	if err != nil {
		return r.withoutRecord(d, known, now.add(life), err)
	}
	recheck := now.add(life)
	if known != nil && known.id == record.ID {
		r.recovered(d, known)
		known.setRecheck(recheck)
		return r.answer(known, FromMemory)
	}
	if before := r.cache.trouble(d); before != nil && before.id == record.ID && now < before.retry {
		return r.withoutPolicy(d, known, *before, recheck, errTriedLately)
	}

	policy, err := fetchPolicy(r.ctx, s.Policies, d)
	if err != nil {
		failed := trouble{id: record.ID, retry: r.now().add(fetchRetry)}
		return r.withoutPolicy(d, known, failed, recheck, err)
	}
	return r.withPolicy(d, known, policy, record.ID, recheck)
}

// errTriedLately is what a discovery says of a policy id that it must not try
// yet.
var errTriedLately = errors.New("the policy host failed for this id less than five minutes ago")

// errDNS marks a lookup that the DNS could not answer.
var errDNS = errors.New("the DNS could not answer")

// lookUpRecord returns the domain's record and how long what the DNS said of
// it may be believed. The error is mtasts.ErrNoRecord, a *mtasts.SyntaxError
// or wraps errDNS.
func lookUpRecord(ctx context.Context, source TXTSource, d mtasts.Domain) (mtasts.Record, time.Duration, error) {
	txt, err := source.TXT(ctx, d.RecordName())
	if err != nil {
		return mtasts.Record{}, dnsRetry, fmt.Errorf("%w: %w", errDNS, err)
	}
	record, err := mtasts.ParseRecord(txt.Records)
	return record, recordLife(txt.TTL), err
}

// fetchPolicy returns the policy that the domain's policy host serves now.
func fetchPolicy(ctx context.Context, source PolicySource, d mtasts.Domain) (mtasts.Policy, error) {
	text, err := source.Fetch(ctx, d)
	if err != nil {
		return mtasts.Policy{}, err
	}
	return mtasts.ParsePolicy(text)
}

// withoutRecord files that no record was to be had until then. A live policy
// holds all the same (RFC 8461 section 3.1, last paragraph).
func (r *Resolver) withoutRecord(d mtasts.Domain, known *entry, until moment, err error) Answer {
	if known == nil {
		r.cache.keepAbsence(d, absence{until: until})
		r.logger.Debug("No record", event.Domain(d.String()), event.Reason(err))
		return Answer{Source: FromDiscovery}
	}
	known.setRecheck(until)
	if errors.Is(err, errDNS) {
		// The resolver may be down for every domain at once: no word about each.
		r.logger.Debug("Record not known", event.Domain(d.String()), event.Reason(err))
	} else if known.trouble.Swap(&trouble{}) == nil {
		event.RecordGone.Log(r.logger, event.Domain(d.String()), event.Reason(err),
			event.Expires(r.time(known.expires)))
	}
	return r.answer(known, FromMemory)
}

// withoutPolicy files that the record stands but no policy can be fetched.
func (r *Resolver) withoutPolicy(d mtasts.Domain, known *entry, why trouble, recheck moment, err error) Answer {
	recheck = min(recheck, why.retry)
	if known == nil {
		if r.cache.trouble(d) == nil {
			event.PolicyUnavailable.Log(r.logger, event.Domain(d.String()), event.ID(why.id), event.Reason(err))
		}
		r.cache.keepAbsence(d, absence{until: recheck, trouble: why})
		return Answer{Source: FromDiscovery}
	}
	known.setRecheck(recheck)
	if known.trouble.Swap(&why) == nil {
		event.RefreshFailing.Log(r.logger, event.Domain(d.String()), event.ID(why.id), event.OldID(known.id),
			event.Reason(err), event.Expires(r.time(known.expires)))
	}
	return r.answer(known, FromMemory)
}

// withPolicy files a policy just fetched. It replaces the one before, of
// whatever mode and max_age.
func (r *Resolver) withPolicy(d mtasts.Domain, known *entry, p mtasts.Policy, id string, recheck moment) Answer {
	now := r.now()
	e := &entry{policy: p, id: id, expires: now.add(p.MaxAge)}
	e.setRecheck(recheck)
	if p.MaxAge > 0 {
		r.cache.keepPolicy(d, e)
	} else {
		r.cache.forget(d)
	}
	r.tell(d, known, e)
	return r.answer(e, FromDiscovery)
}

// tell logs what a new policy changed.
func (r *Resolver) tell(d mtasts.Domain, old, now *entry) {
	attrs := []slog.Attr{event.Domain(d.String()), event.Mode(now.policy.Mode.String()), event.ID(now.id),
		event.Expires(r.time(now.expires))}
	switch {
	case old == nil:
		event.PolicyFound.Log(r.logger, attrs...)
	case old.policy.Mode == mtasts.ModeEnforce && now.policy.Mode != mtasts.ModeEnforce:
		event.PolicyDowngraded.Log(r.logger, append(attrs, event.OldID(old.id))...)
	default:
		event.PolicyChanged.Log(r.logger, append(attrs, event.OldID(old.id))...)
	}
}

func (r *Resolver) recovered(d mtasts.Domain, e *entry) {
	if e.trouble.Swap(nil) != nil {
		event.RefreshRecovered.Log(r.logger, event.Domain(d.String()), event.ID(e.id))
	}
}
