// Package resolver finds out what mail to a domain needs: RFC 8461 section
// 5.1, with a cache in front and one discovery per domain behind it.
//
// A lookup has two steps. Cached says what memory knows, in microseconds;
// Resolve does what is left, in seconds at most, while the discovery that it
// starts may go on behind it.
package resolver

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/internal/stack"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/refresh"
	"mta-sts-daemon/resolver/store"
)

// TXTSource asks the DNS for TXT records. An error means that it could not
// answer; absence is an answer without records.
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

// Settings are what a reload may change.
type Settings struct {
	TXT      TXTSource
	MX       MXSource
	Policies PolicySource
	// DANE is nil where STS does not have to give way to it.
	DANE DANEChecker
	// AnswerTimeout bounds how long a lookup waits.
	AnswerTimeout time.Duration
	// RecheckWait bounds how long a lookup waits to hear whether the policy
	// that it has is still the newest.
	RecheckWait time.Duration
	// Entries and NegativeEntries bound what memory holds: domains with a
	// policy and domains without.
	Entries, NegativeEntries int
	// RefreshInterval is the age at which a policy is fetched again although
	// its id has not changed, as long as its domain was looked up within Idle;
	// Concurrency bounds how many are at once.
	RefreshInterval, Idle time.Duration
	Concurrency           int
}

// recheckWait is RecheckWait, but for lookups that must not take as long.
func (s *Settings) recheckWait() time.Duration { return min(s.RecheckWait, s.AnswerTimeout) }

// Resolver answers lookups. It is safe for concurrent use.
type Resolver struct {
	logger   *slog.Logger
	settings atomic.Pointer[Settings]
	metrics  *metrics
	clock    *clock
	cache    *cache
	doors    doors
	fleet    Fleet // nil where nothing is shared

	lastHeard instant // when the DNS answered last
	silence   instant // until when lookups do not wait for it; 0 while it answers

	flights singleflight.Group // of discover, by domain
	checks  singleflight.Group // of checkDANE, by next hop
	ctx     context.Context    // of the discoveries, which outlive lookups
	cancel  context.CancelFunc

	mu       sync.Mutex // keeps begin and Close apart
	underway sync.WaitGroup
}

// New returns a Resolver that knows the policies in st and, where fleet is not
// nil, shares what it learns of policies there. Close ends it, and leaves both
// to their owner. reg, where it is not nil, collects its metrics.
func New(s Settings, st *store.Store, fleet Fleet, reg prometheus.Registerer, logger *slog.Logger) *Resolver {
	return newResolver(newClock(time.Now), s, st, fleet, reg, logger)
}

func newResolver(c *clock, s Settings, st *store.Store, fleet Fleet, reg prometheus.Registerer, logger *slog.Logger) *Resolver {
	r := &Resolver{logger: logger, metrics: newMetrics(reg), clock: c, doors: newDoors(), fleet: fleet}
	r.settings.Store(&s)
	r.cache = newCache(&r.settings, st, r.clock)
	r.registerGauges(reg)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	scheduler := refresh.NewScheduler(&dueInStore{Resolver: r, began: c.time(0)}, func() int { return r.settings.Load().Concurrency })
	r.underway.Go(func() { scheduler.Run(r.ctx) })
	r.underway.Go(r.followStore)
	r.underway.Go(r.recallFailing)
	if fleet != nil {
		r.underway.Go(r.followFleet)
	}
	return r
}

// Configure puts new settings in force for the lookups and discoveries that
// begin from now on.
func (r *Resolver) Configure(s Settings) {
	r.settings.Store(&s)
	r.cache.resize()
}

// Close gives up the discoveries under way, waits for them to end and writes
// down what only memory knows.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.underway.Wait()
	r.cache.flush()
}

// followStore gives a store that lost its file what memory knows.
func (r *Resolver) followStore() {
	for {
		select {
		case <-r.cache.store.Renewed():
			r.cache.rewrite()
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

// Cached answers from memory. ok is false where that does not settle the
// lookup and Resolve must be called. at is now: whoever calls has just read the
// clock, and need not do so for every lookup.
func (r *Resolver) Cached(hop NextHop, at time.Time) (a Answer, ok bool) {
	now := r.clock.read(at)
	kind, ok := r.cachedDANE(hop, now)
	if !ok {
		return Answer{}, false
	}
	a, ok = r.cachedSTS(hop.Domain, now)
	if ok {
		r.metrics.lookups.fromMemory(a)
	}
	a.DANE = kind
	return a, ok
}

func (r *Resolver) cachedSTS(d mtasts.Domain, now moment) (a Answer, ok bool) {
	if e := r.cache.inMemory(d, now); e != nil {
		r.cache.use(d, e, now)
		if now < e.recheck.get() {
			return e.answer(), true
		}
		return Answer{}, false
	}
	return Answer{}, r.cache.absent(d, now)
}

// Resolve answers a lookup that Cached could not. Where the domain's policy
// cannot be learned in time there is none to apply (RFC 8461 section 3.3), so
// that is no error; an error means ErrDANEUnknown, or that the lookup itself
// was given up.
func (r *Resolver) Resolve(ctx context.Context, hop NextHop) (Answer, error) {
	stack.Grow()
	hop = hop.clone()
	last := r.cache.known(hop.Domain, r.clock.now())
	verdict := r.askDANE(hop) // beside the discovery, not after it
	a, err := r.resolveSTS(ctx, hop.Domain, last)
	if err != nil {
		return Answer{}, err
	}
	if a.DANE, err = verdict(ctx); err != nil {
		return Answer{}, err
	}
	return a, nil
}

// resolveSTS says what STS is to answer; last is the domain's policy, live or
// expired.
func (r *Resolver) resolveSTS(ctx context.Context, d mtasts.Domain, last *entry) (Answer, error) {
	if !d.CanPublish() {
		return Answer{}, nil
	}
	now := r.clock.now()
	if a, ok := r.cachedSTS(d, now); ok {
		r.metrics.lookups.fromMemory(a)
		return a, nil
	}
	s := r.settings.Load()
	e := last.liveAt(now)
	if e == nil {
		r.metrics.lookups.miss.Inc()
		return r.await(ctx, d, firstDiscovery, s.AnswerTimeout, Answer{})
	}
	r.cache.use(d, e, now)
	known := e.answer()
	if !e.claimRecheck(now) {
		r.metrics.lookups.hit.Inc()
		return known, nil // it is not due, or another lookup waits for it
	}
	r.metrics.lookups.recheck.Inc()
	if !r.patient(now) {
		r.fly(d, recheck, known)
		return known, nil
	}
	return r.await(ctx, d, recheck, s.recheckWait(), known)
}

// await joins the domain's discovery, or starts it, and waits for it for at
// most limit; past that the answer is what memory has, else meanwhile.
func (r *Resolver) await(ctx context.Context, d mtasts.Domain, why reason, limit time.Duration, meanwhile Answer) (Answer, error) {
	began := r.clock.now()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case res := <-r.fly(d, why, meanwhile):
		return res.Val.(Answer), nil
	case <-timer.C:
		if why == recheck {
			r.unheard(began)
		}
		if e := r.cache.inMemory(d, r.clock.now()); e != nil {
			return e.answer(), nil // the fleet had it
		}
		return meanwhile, nil
	case <-ctx.Done():
		return Answer{}, context.Cause(ctx)
	}
}

// result is what a flight brings.
type result = singleflight.Result

// fly joins the domain's discovery or starts it. The result has an answer even
// where it has an error; once the Resolver is closed that is meanwhile.
func (r *Resolver) fly(d mtasts.Domain, why reason, meanwhile Answer) <-chan result {
	return r.flights.DoChan(d.String(), func() (any, error) { return r.flight(d, why, meanwhile) })
}

func (r *Resolver) flight(d mtasts.Domain, why reason, meanwhile Answer) (Answer, error) {
	if !r.begin() {
		return meanwhile, errClosed
	}
	defer r.underway.Done()
	return r.discover(d, why)
}
