// Package resolver finds out how mail to a domain must be protected: MTA-STS (RFC 8461)
// and DANE (RFC 7672).
//
// A domain announces a policy with a TXT record at _mta-sts.DOMAIN. The record has an id;
// the policy itself is a file that the host mta-sts.DOMAIN serves over HTTPS:
//
//	_mta-sts.example.com. TXT "v=STSv1; id=20261128;"
//
//	version: STSv1
//	mode: enforce
//	mx: mx.example.com
//	max_age: 604800
//
// A discovery looks up the record, fetches the policy and keeps it for its max_age. A new
// id means that the policy has to be fetched again. Lookups of one domain share one
// discovery.
//
// A lookup has two steps. Cached answers from memory, in microseconds. If memory does
// not settle it, Resolve takes seconds at most, while the discovery that it starts may
// go on after the answer. DANE is checked in parallel, by next hop. Package policies owns
// the states of domains, package dane the verdicts on next hops.
package resolver

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/internal/stack"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/refresh"
	"mta-sts-daemon/resolver/store"
)

// TXTSource asks the DNS for TXT records. An error means that it could not answer; an
// absence is an answer without records.
type TXTSource interface {
	TXT(ctx context.Context, name string) (dnsclient.Answer[string], error)
}

// PolicySource fetches the text of a domain's policy from its policy host.
type PolicySource interface {
	Fetch(ctx context.Context, d mtasts.Domain) (string, error)
}

// MXSource asks the DNS for a domain's mail exchangers.
type MXSource interface {
	MX(ctx context.Context, name string) (dnsclient.Answer[dnsclient.MX], error)
}

// Prober asks the DNS a question that every working resolver answers. The error says
// why it did not.
type Prober interface {
	Probe(ctx context.Context) error
}

// Settings can be changed by a reload.
type Settings struct {
	TXT      TXTSource
	MX       MXSource
	Policies PolicySource
	// Probe is nil if the DNS counts as working whenever a question fails.
	Probe Prober
	// DANE is nil if STS does not have to give way to it.
	DANE DANEChecker
	// AnswerTimeout bounds how long a lookup waits.
	AnswerTimeout time.Duration
	// RecheckWait bounds how long a lookup waits to learn whether the policy that it
	// has is still the newest.
	RecheckWait time.Duration
	// Limits bound what memory holds and say when policies are refreshed.
	policies.Limits
	// Concurrency bounds how many refreshes run at the same time.
	Concurrency int
}

// recheckWait is RecheckWait, or AnswerTimeout if that is shorter.
func (s *Settings) recheckWait() time.Duration { return min(s.RecheckWait, s.AnswerTimeout) }

// verdictRoom is for how many next hops memory has verdicts.
func (s *Settings) verdictRoom() int { return s.Entries + s.NegativeEntries }

// Options configure a Resolver. Shared and Metrics may be nil.
type Options struct {
	Settings Settings
	Clock    *clock.Clock
	// Store and Shared stay their owner's to close.
	Store   *store.Store
	Shared  SharedStore
	Metrics prometheus.Registerer
	Logger  *slog.Logger
}

// Resolver answers lookups. It is safe for concurrent use.
type Resolver struct {
	logger   *slog.Logger
	settings atomic.Pointer[Settings]
	metrics  *metrics
	clock    *clock.Clock
	policies *policies.Table
	verdicts *dane.Cache
	store    *store.Store
	shared   SharedStore // nil if nothing is shared

	dns   *dnsHealth
	reach *reach
	load  loadLimits

	deferrals deferrals
	purging   sync.Mutex // held while a purge in the shared store is carried out here

	flights singleflight.Group // of discover, by domain
	checks  singleflight.Group // of checkDANE, by next hop
	ctx     context.Context    // of the discoveries, which outlive lookups
	cancel  context.CancelFunc

	mu       sync.Mutex // keeps begin and Close apart
	underway sync.WaitGroup
}

// observeInterval is how often the clocks are looked at although nobody asks.
const observeInterval = 5 * time.Second

// New returns a Resolver. Close ends it.
func New(o Options) *Resolver {
	r := &Resolver{logger: o.Logger, clock: o.Clock, store: o.Store, shared: o.Shared, load: newLoadLimits()}
	r.settings.Store(&o.Settings)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.verdicts = dane.NewCache(o.Clock, o.Settings.verdictRoom())
	r.policies = policies.New(policies.Options{Clock: o.Clock, Store: o.Store, Verdicts: r.verdicts,
		Limits: o.Settings.Limits, Metrics: o.Metrics, Logger: o.Logger})
	r.dns = newDNSHealth(r.ctx, o.Clock, r.probe)
	r.reach = newReach(o.Clock, o.Logger)
	r.metrics = newMetrics(o.Metrics, r)
	scheduler := refresh.NewScheduler(queue{r}, func() int { return r.settings.Load().Concurrency })
	r.underway.Go(func() { scheduler.Run(r.ctx) })
	r.underway.Go(r.maintain)
	r.underway.Go(func() {
		r.policies.Recall(r.ctx.Done())
		r.policies.TakeCensus(r.ctx.Done())
	})
	if r.shared != nil {
		r.underway.Go(r.followShared)
	}
	return r
}

// Configure puts new settings in force for the lookups and discoveries that begin from
// now on.
func (r *Resolver) Configure(s Settings) {
	r.settings.Store(&s)
	r.policies.Configure(s.Limits)
	r.verdicts.Resize(s.verdictRoom())
}

// Close gives up the discoveries under way, waits for them to end and writes down what
// only memory knows.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.underway.Wait()
	r.policies.Flush()
}

// maintain follows the clocks, and gives a store that lost its file what memory knows.
func (r *Resolver) maintain() {
	ticker := time.NewTicker(observeInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			r.policies.Observe()
		case <-r.store.Replaced():
			r.policies.Rewrite()
		case <-r.ctx.Done():
			return
		}
	}
}

// begin counts a discovery in, unless the Resolver is closed.
func (r *Resolver) begin() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.ctx.Err() != nil {
		return false
	}
	r.underway.Add(1)
	return true
}

// background runs fn on a goroutine that Close waits for, unless the Resolver is closed.
func (r *Resolver) background(fn func()) {
	if !r.begin() {
		return
	}
	go func() {
		defer r.underway.Done()
		fn()
	}()
}

// Cached answers from memory. ok is false if that does not settle the lookup and Resolve
// must be called. at is now: the caller has just read the clock, which is then not read
// again for every lookup.
func (r *Resolver) Cached(hop NextHop, at time.Time) (a Answer, ok bool) {
	now := r.clock.At(at)
	kind, ok := r.currentDANE(hop, now)
	if !ok {
		return Answer{}, false
	}
	if a, ok = r.cachedSTS(hop, now); ok {
		r.metrics.lookups.fromMemory(a)
	}
	a.DANE = kind
	if kind == dane.Unknown {
		a.Failed = r.verdicts.Failed(hop)
	}
	return a, ok
}

// cachedSTS answers from memory as long as nothing is due. The first lookup for mail to the
// domain's MX hosts goes to Resolve, which has them judged.
func (r *Resolver) cachedSTS(hop NextHop, now clock.Moment) (a Answer, ok bool) {
	e := r.policies.Live(hop.Domain, now)
	if e == nil {
		state, f, ok := r.policies.Negative(hop.Domain, now)
		return r.without(state, f), ok
	}
	if e.RecheckDue(now) || hop.MX && !e.ToMX() {
		return Answer{}, false
	}
	r.policies.Use(hop.Domain, e, now)
	return answer(e), true
}

// Peek answers from memory, current or due, without any effect: it starts no discovery,
// notes no use and counts nothing. ok is false if memory does not know whether the domain
// has a policy, or has no verdict of DANE.
func (r *Resolver) Peek(hop NextHop, at time.Time) (a Answer, ok bool) {
	now := r.clock.At(at)
	e, negative := r.policies.Peek(hop.Domain, now)
	a, ok = answer(e), e != nil || negative
	if r.asksDANE(hop) {
		a.DANE = r.verdicts.Held(hop, nil, now)
		ok = ok && a.DANE != 0 || a.DANE == dane.Full // which needs no policy
	}
	return a, ok
}

// answer makes an Answer, before DANE, of a live entry; of nil, that of a domain without a
// policy.
func answer(e *policies.Entry) Answer {
	if e == nil {
		return Answer{}
	}
	return Answer{Policy: e.Policy(), MatchesNoMX: e.MatchesNoMX()}
}

// without returns the answer for a domain without a usable policy. f is why the one that
// it announces is not usable; nil if it announces none.
func (r *Resolver) without(s policies.State, f *policies.Failure) Answer {
	if f == nil || f.Word == "" || !r.reach.blames(f) {
		return Answer{Without: s}
	}
	return Answer{Without: s, Failure: f}
}

// Resolve answers a lookup that Cached could not. If the domain's policy cannot
// be fetched in time, no policy applies (RFC 8461 section 3.3), and err is nil.
// The error is ErrDANEUnknown, or means that the lookup was given up.
func (r *Resolver) Resolve(ctx context.Context, hop NextHop) (Answer, error) {
	stack.Grow()
	hop = hop.Clone()
	known := r.policies.Judged(hop.Domain) // its stored verdicts come to memory with it
	if known != nil && r.asksDANE(hop) && !r.verdicts.Has(hop) {
		r.policies.RestoreVerdicts(hop.Domain) // they were evicted since
	}
	now := r.clock.Now()
	verdict := r.askDANE(hop, known.LiveAt(now), now) // in parallel with the discovery
	a, err := r.resolveSTS(ctx, hop, known, now)
	if err != nil {
		return Answer{}, err
	}
	if a.DANE, err = verdict(ctx); err != nil {
		return Answer{}, err
	}
	if a.DANE == dane.Unknown {
		a.Failed = r.verdicts.Failed(hop)
	}
	return a, nil
}

// resolveSTS answers for STS; known is the domain's policy, live or expired.
func (r *Resolver) resolveSTS(ctx context.Context, hop NextHop, known *policies.Entry, now clock.Moment) (Answer, error) {
	if !hop.Domain.CanPublish() {
		return Answer{Without: policies.StateAbsent}, nil
	}
	s := r.settings.Load()
	live := known.LiveAt(now)
	if live == nil {
		if state, f, ok := r.policies.Negative(hop.Domain, now); ok {
			a := r.without(state, f)
			r.metrics.lookups.fromMemory(a)
			return a, nil
		}
		r.metrics.lookups.miss.Inc()
		return r.await(ctx, hop, firstDiscovery, now, s.AnswerTimeout, Answer{})
	}
	r.policies.Use(hop.Domain, live, now)
	if hop.MX && r.policies.UsedForMX(hop.Domain, live) {
		r.background(func() { r.judgeMX(hop.Domain) })
	}
	if !live.ClaimRecheck(now, claimLapse) {
		r.metrics.lookups.hit.Inc()
		return answer(live), nil // it is not due, or another lookup waits for it
	}
	r.metrics.lookups.recheck.Inc()
	if !r.dns.shouldWait(now) {
		r.startDiscovery(hop, recheck, answer(live))
		return answer(live), nil
	}
	return r.await(ctx, hop, recheck, now, s.recheckWait(), answer(live))
}

// claimLapse is how long a recheck that a lookup waits for keeps other lookups from
// waiting, unless it sets another time.
const claimLapse = 30 * time.Second

// await joins the domain's discovery, or starts it, and waits for it for at most limit;
// after that the answer is what memory has, else meanwhile. began is now.
func (r *Resolver) await(ctx context.Context, hop NextHop, why reason, began clock.Moment, limit time.Duration, meanwhile Answer) (Answer, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		done := r.startDiscovery(hop, why, meanwhile)
		select {
		case res := <-done:
			if !errors.Is(res.Err, errGone) {
				return res.Val.(Answer), nil
			}
		case <-timer.C:
			if why == recheck {
				r.dns.unanswered(began)
			}
			if e := r.policies.Live(hop.Domain, r.clock.Now()); e != nil {
				return answer(e), nil // the shared store had it
			}
			if why == firstDiscovery {
				meanwhile.Later = func() *policies.Failure { return (<-done).Val.(Answer).Failure }
			}
			return meanwhile, nil
		case <-ctx.Done():
			return Answer{}, context.Cause(ctx)
		}
	}
}

// startDiscovery starts the domain's discovery, or joins the one under way. The result has
// an answer also if it has an error; after Close the answer is meanwhile.
func (r *Resolver) startDiscovery(hop NextHop, why reason, meanwhile Answer) <-chan singleflight.Result {
	return r.flights.DoChan(hop.Domain.String(), func() (any, error) {
		if !r.begin() {
			return meanwhile, errClosed
		}
		defer r.underway.Done()
		return r.discover(hop, why)
	})
}
