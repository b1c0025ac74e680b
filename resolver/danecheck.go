package resolver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sync/singleflight"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/internal/stack"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
)

// DANEChecker asks the DNS what DANE says of a next hop, within a time limit of its own.
// An error means that it cannot be known now.
type DANEChecker interface {
	Check(ctx context.Context, host mtasts.Domain, mx bool, port uint16) (dane.Verdict, error)
}

// ErrDANEUnknown means that the domain may have DANE and that this cannot be known now, so
// no answer is safe: the lookup has to be made again later.
var ErrDANEUnknown = errors.New("DANE cannot be looked up now")

// errSomeHosts is why the last verdict holds although the MX records are known.
var errSomeHosts = errors.New("the TLSA records of some MX hosts cannot be looked up")

// asksDANE is false for a port that only this host's services(5) could tell: the name of
// the TLSA records cannot be known.
func (r *Resolver) asksDANE(hop NextHop) bool {
	return hop.Port != 0 && r.settings.Load().DANE != nil
}

// currentDANE returns what memory has. If that ends soon, it is looked up again behind the
// answer.
func (r *Resolver) currentDANE(hop NextHop, now clock.Moment) (kind dane.Kind, ok bool) {
	if !r.asksDANE(hop) {
		return dane.None, true
	}
	kind, due, ok := r.verdicts.Current(hop, now)
	if due {
		r.startCheck(hop.Clone(), true)
	}
	return kind, ok
}

// askDANE starts a check if memory has no current verdict; the function that it returns waits
// for it. Stored verdicts must be in memory already. For an old verdict one lookup alone waits,
// and no longer than for a recheck, unless its answer would be a TEMP. policy is the live one, nil
// without one.
func (r *Resolver) askDANE(hop NextHop, policy *policies.Entry, now clock.Moment) func(context.Context) (dane.Kind, error) {
	known := func(kind dane.Kind, err error) func(context.Context) (dane.Kind, error) {
		return func(context.Context) (dane.Kind, error) { return kind, err }
	}
	if kind, ok := r.currentDANE(hop, now); ok {
		return known(kind, nil)
	}
	s := r.settings.Load()
	limit := s.AnswerTimeout
	last, due, held := r.verdicts.Last(hop, now)
	if held {
		if !due {
			return known(last, nil)
		}
		if !r.dns.shouldWait(now) {
			r.startCheck(hop, true)
			return known(last, nil)
		}
		if last != dane.Unknown || policy == nil || policy.Policy().Mode != mtasts.ModeEnforce {
			limit = s.recheckWait()
		}
	} else if err := r.verdicts.Failure(hop, now); err != nil {
		return known(dane.None, fmt.Errorf("%w: %w", ErrDANEUnknown, err))
	}
	timer := time.NewTimer(limit)
	check := r.startCheck(hop, held)
	return func(ctx context.Context) (dane.Kind, error) {
		defer timer.Stop()
		found, err := r.awaitDANE(ctx, check, timer.C)
		switch {
		case err == nil:
			return found, nil
		case ctx.Err() != nil:
			return dane.None, context.Cause(ctx)
		case held:
			if errors.Is(err, errNotInTime) {
				r.dns.unanswered(now)
			}
			return last, nil
		case errors.Is(err, errNotInTime):
			err = fmt.Errorf("MX and TLSA lookups of %v: no answer within %v", hop.Domain, limit)
		}
		return dane.None, fmt.Errorf("%w: %w", ErrDANEUnknown, err)
	}
}

// errNotInTime is for a check that has not ended when its lookup must be answered.
var errNotInTime = errors.New("no answer in time")

// awaitDANE waits for a check. One that ended while the policy was waited for counts, also
// if the timer has fired since.
func (r *Resolver) awaitDANE(ctx context.Context, check <-chan singleflight.Result, timer <-chan time.Time) (dane.Kind, error) {
	var found singleflight.Result
	select {
	case found = <-check:
	case <-timer:
		select {
		case found = <-check:
		default:
			return dane.None, errNotInTime
		}
	case <-ctx.Done():
		return dane.None, context.Cause(ctx)
	}
	if found.Err != nil {
		return dane.None, found.Err
	}
	return found.Val.(dane.Kind), nil
}

// startCheck starts the check of a next hop, or joins the one under way.
func (r *Resolver) startCheck(hop NextHop, refreshing bool) <-chan singleflight.Result {
	key := hop.Domain.String() + " " + strconv.FormatBool(hop.MX) + " " + strconv.Itoa(int(hop.Port))
	return r.checks.DoChan(key, func() (any, error) {
		if !r.begin() {
			return dane.None, errClosed
		}
		defer r.underway.Done()
		stack.Grow()
		return r.checkDANE(hop, refreshing)
	})
}

// checkDANE finds a verdict and stores it.
func (r *Resolver) checkDANE(hop NextHop, refreshing bool) (dane.Kind, error) {
	if kind, _, ok := r.verdicts.Current(hop, r.clock.Now()); ok && !refreshing {
		return kind, nil // the check that would have served this lookup has just ended
	}
	s := r.settings.Load()
	if s.DANE == nil {
		return dane.None, nil // switched off meanwhile
	}
	limit := r.load.unknown.checks
	if refreshing {
		limit = r.load.known.checks
	}
	if err := limit.enter(r.ctx, s.AnswerTimeout, func() bool { return false }); err != nil {
		return dane.None, err
	}
	defer limit.leave()
	asked := r.policies.Asked()
	verdict, while, err := r.askChecker(s, hop, refreshing)
	if !r.verdicts.Has(hop) {
		r.policies.RestoreVerdicts(hop.Domain) // the last one may have been evicted during the check
	}
	now := r.clock.Now()
	if err == nil {
		if save, ok := r.verdicts.Put(hop, verdict, now); ok {
			saved := !r.forgetVoid(hop.Domain, asked) && r.policies.SaveVerdicts(hop.Domain, save...)
			if verdict.Kind == dane.Unknown {
				r.logUnknown(hop, cmp.Or(verdict.Failed, errSomeHosts))
			} else {
				r.endDeferral(hop)
			}
			if hop.MX && saved {
				r.background(func() { r.judgeMX(hop.Domain) })
			}
			return verdict.Kind, nil
		}
		err = errSomeHosts
	} else if r.ctx.Err() == nil {
		r.verdicts.Fail(hop, err, while, now)
		r.forgetVoid(hop.Domain, asked)
	}
	r.logUnknown(hop, err)
	return dane.None, err
}

// forgetVoid removes the result that a check has just filed if the domain was purged since the
// check began, and reports whether it was.
func (r *Resolver) forgetVoid(d mtasts.Domain, asked policies.Asked) bool {
	void := r.policies.Void(d, asked)
	if void {
		r.verdicts.Forget(d)
	}
	return void
}

func (r *Resolver) logUnknown(hop NextHop, err error) {
	r.logger.Debug("DANE could not be looked up", event.Domain(hop.Domain.String()), event.Reason(err))
}

// askChecker asks for a verdict. During an outage of the DNS it waits for the end of that,
// for as long as a lookup waits; while returns how long a failure counts. If some mail hosts could
// not be looked up, an outage may have begun during the check.
func (r *Resolver) askChecker(s *Settings, hop NextHop, refreshing bool) (v dane.Verdict, while func() bool, err error) {
	deadline := r.clock.Now().Add(s.AnswerTimeout)
	for {
		if out := r.dns.outage(); out != nil && (refreshing || !out.wait(r.ctx, hop.Domain, deadline.Sub(r.clock.Now()))) {
			return v, out.lasts, errOutage
		}
		began := r.clock.Now()
		v, err = s.DANE.Check(r.ctx, hop.Domain, hop.MX, hop.Port)
		switch {
		case r.ctx.Err() != nil:
			return v, nil, err
		case err != nil:
			if !r.dns.failed(hop.Domain, refreshing, began) {
				return v, nil, err
			}
		case v.Kind != dane.Unknown || r.dns.lost() == nil:
			if !v.Incomplete {
				r.dns.answered(r.clock.Now())
			}
			return v, nil, nil
		}
	}
}

// mailHosts returns the hosts that take the domain's mail.
func mailHosts(d mtasts.Domain, mx dnsclient.Answer[dnsclient.MX]) []string {
	return dane.MailHosts(d.String(), mx.Records)
}

// probe asks the DNS for the record of d, or for the zero Domain what every resolver
// knows. With DANE it asks for the MX hosts if the record fails: if only records fail, the DNS
// works. In an outage no TLSA record is asked for.
func (r *Resolver) probe(ctx context.Context, d mtasts.Domain) error {
	s := r.settings.Load()
	if d.IsZero() && s.Probe == nil {
		return nil
	}
	if d.IsZero() {
		return s.Probe.Probe(ctx)
	}
	_, err := s.TXT.TXT(ctx, d.RecordName())
	if err != nil && s.DANE != nil {
		_, err = s.MX.MX(ctx, d.String())
	}
	return err
}
