package resolver

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/internal/stack"
	"mta-sts-daemon/resolver/mtasts"
)

// DANEChecker asks the DNS what DANE says of a next hop, within a time limit of
// its own. An error means that it cannot be known now.
type DANEChecker interface {
	Check(ctx context.Context, host mtasts.Domain, mx bool, port uint16) (dane.Verdict, error)
}

// ErrDANEUnknown means that the domain may have DANE and nobody can tell now, so
// that no answer is safe: whoever asks must try again later.
var ErrDANEUnknown = errors.New("what DANE says cannot be known now")

// verdictHold is how long past its end a verdict holds while there is no newer
// one to be had.
const verdictHold = 24 * time.Hour

// renewAfter is when in its life a verdict is looked up anew: at 80 %.
func renewAfter(life time.Duration) time.Duration { return life * 8 / 10 }

// verdict is what DANE says of a next hop, in memory.
type verdict struct {
	kind  dane.Kind
	until moment
	renew instant // when it is to be looked up anew
}

// holds reports whether v is to be answered while there is no newer one.
func (v *verdict) holds(now moment) bool { return now < v.until.add(verdictHold) }

// claimRenewal reports whether the caller is to look the verdict up anew. The
// claim lapses after dnsRetry.
func (v *verdict) claimRenewal(now moment) bool {
	return v.renew.claim(now, now.add(dnsRetry))
}

// cachedDANE says what memory knows. Where that gets old, it is looked up anew
// behind the answer.
func (r *Resolver) cachedDANE(hop NextHop, now moment) (kind dane.Kind, ok bool) {
	if !r.asksDANE(hop) {
		return dane.None, true
	}
	v, ok := r.cache.verdicts.Peek(hop) // in use it is renewed, which is when the LRU hears of it
	if !ok || now >= v.until {
		return dane.None, false
	}
	if v.claimRenewal(now) {
		r.flyDANE(hop.clone(), true)
	}
	return v.kind, true
}

// asksDANE is false for a port that only this host's services(5) could tell:
// the TLSA records' name cannot be known.
func (r *Resolver) asksDANE(hop NextHop) bool {
	return hop.Port != 0 && r.settings.Load().DANE != nil
}

// askDANE begins to find out what Cached did not know; the function that it
// returns waits for that. What was stored must be in memory. For an old verdict
// one lookup alone waits.
func (r *Resolver) askDANE(hop NextHop) func(context.Context) (dane.Kind, error) {
	now := r.clock.now()
	known := func(kind dane.Kind) func(context.Context) (dane.Kind, error) {
		return func(context.Context) (dane.Kind, error) { return kind, nil }
	}
	if kind, ok := r.cachedDANE(hop, now); ok {
		return known(kind)
	}
	s := r.settings.Load()
	limit := s.AnswerTimeout
	old, _ := r.cache.verdicts.Get(hop)
	if old != nil && !old.holds(now) {
		old = nil
	}
	if old != nil {
		if !old.claimRenewal(now) {
			return known(old.kind)
		}
		if !r.patient(now) {
			r.flyDANE(hop, true)
			return known(old.kind)
		}
		limit = s.recheckWait()
	}
	timer := time.NewTimer(limit)
	check := r.flyDANE(hop, old != nil)
	return func(ctx context.Context) (dane.Kind, error) {
		defer timer.Stop()
		var found result
		select {
		case found = <-check:
		case <-timer.C:
			select {
			case found = <-check: // while the policy was waited for
			default:
				found.Err = fmt.Errorf("no answer within %v", limit)
				if old != nil {
					r.unheard(now)
				}
			}
		case <-ctx.Done():
			return dane.None, context.Cause(ctx)
		}
		switch {
		case found.Err == nil:
			return found.Val.(*verdict).kind, nil
		case old != nil:
			return old.kind, nil
		}
		return dane.None, fmt.Errorf("%w: %w", ErrDANEUnknown, found.Err)
	}
}

// flyDANE joins the check of a next hop or starts it.
func (r *Resolver) flyDANE(hop NextHop, renewing bool) <-chan result {
	key := hop.Domain.String() + " " + strconv.FormatBool(hop.MX) + " " + strconv.Itoa(int(hop.Port))
	return r.checks.DoChan(key, func() (any, error) {
		if !r.begin() {
			return nil, errClosed
		}
		defer r.underway.Done()
		stack.Grow()
		return r.checkDANE(hop, renewing)
	})
}

var errClosed = errors.New("the daemon is stopping")

// errSomeHosts is why the last verdict holds although the MX records are known.
var errSomeHosts = errors.New("the TLSA records of some MX hosts cannot be had")

// checkDANE finds a verdict and files it.
func (r *Resolver) checkDANE(hop NextHop, renewing bool) (*verdict, error) {
	last, _ := r.cache.verdicts.Get(hop)
	if last != nil && !renewing && r.clock.now() < last.until {
		return last, nil // the check that would have served this lookup has just ended
	}
	s := r.settings.Load()
	checker := s.DANE
	if checker == nil {
		return &verdict{kind: dane.None}, nil // switched off meanwhile
	}
	gate := r.doors.unknown.checks
	if renewing {
		gate = r.doors.known.checks
	}
	if err := gate.enter(r.ctx, s.AnswerTimeout); err != nil {
		return nil, err
	}
	found, err := checker.Check(r.ctx, hop.Domain, hop.MX, hop.Port)
	gate.leave()
	now := r.clock.now()
	if err == nil {
		r.heard()
		if found.Kind == dane.Unknown && last != nil && last.kind != dane.Unknown && last.holds(now) {
			err = errSomeHosts
		}
	}
	if err != nil {
		r.logger.Debug("DANE not known", event.Domain(hop.Domain.String()), event.Reason(err))
		return nil, err
	}
	v := &verdict{kind: found.Kind, until: now.add(found.TTL)}
	v.renew.set(now.add(renewAfter(found.TTL)))
	r.cache.keepVerdict(hop, v)
	return v, nil
}
