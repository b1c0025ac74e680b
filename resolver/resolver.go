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

	"golang.org/x/sync/singleflight"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
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

// Settings are what a reload may change.
type Settings struct {
	TXT      TXTSource
	Policies PolicySource
	// AnswerTimeout bounds how long a lookup waits for a first discovery.
	AnswerTimeout time.Duration
	// RecheckWait bounds how long a lookup waits to hear whether the policy
	// that it has is still the newest.
	RecheckWait time.Duration
	// Entries and NegativeEntries bound what memory holds: domains with a
	// policy and domains without.
	Entries, NegativeEntries int
}

// Resolver answers lookups. It is safe for concurrent use.
type Resolver struct {
	logger   *slog.Logger
	settings atomic.Pointer[Settings]
	cache    *cache
	start    time.Time // what a moment counts from

	flights singleflight.Group // of discover, by domain
	ctx     context.Context    // of the discoveries, which outlive lookups
	cancel  context.CancelFunc

	mu       sync.Mutex // keeps begin and Close apart
	underway sync.WaitGroup
}

// New returns a Resolver that knows nothing yet. Close ends it.
func New(s Settings, logger *slog.Logger) *Resolver {
	r := &Resolver{logger: logger, cache: newCache(s), start: time.Now()}
	r.settings.Store(&s)
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Configure puts new settings in force for the lookups and discoveries that
// begin from now on.
func (r *Resolver) Configure(s Settings) {
	r.settings.Store(&s)
	r.cache.resize(s)
}

// Close gives up the discoveries under way and waits for them to end.
func (r *Resolver) Close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.underway.Wait()
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
// lookup and Resolve must be called.
func (r *Resolver) Cached(hop NextHop) (a Answer, ok bool) {
	now := r.now()
	if e := r.cache.policy(hop.Domain, now); e != nil {
		if now < e.recheckAt() {
			return r.answer(e, FromMemory), true
		}
		return Answer{}, false
	}
	if r.cache.absent(hop.Domain, now) {
		return Answer{Source: FromMemory}, true
	}
	return Answer{}, false
}

// Resolve answers a lookup that Cached could not. Where the domain's policy
// cannot be learned in time there is none to apply (RFC 8461 section 3.3), so
// that is no error; an error means that the lookup itself was given up.
func (r *Resolver) Resolve(ctx context.Context, hop NextHop) (Answer, error) {
	if !hop.Domain.CanPublish() {
		return Answer{Source: FromMemory}, nil
	}
	if a, ok := r.Cached(hop); ok {
		return a, nil
	}
	s := r.settings.Load()
	now := r.now()
	if e := r.cache.policy(hop.Domain, now); e != nil {
		known := r.answer(e, FromMemory)
		if !e.claimRecheck(now) {
			return known, nil // another lookup is waiting for this already
		}
		return r.await(ctx, hop.Domain, s.RecheckWait, known)
	}
	return r.await(ctx, hop.Domain, s.AnswerTimeout, Answer{Source: FromDiscovery})
}

// await joins the domain's discovery, or starts it, and waits for it for at
// most limit; past that the answer is meanwhile.
func (r *Resolver) await(ctx context.Context, d mtasts.Domain, limit time.Duration, meanwhile Answer) (Answer, error) {
	result := r.flights.DoChan(d.String(), func() (any, error) {
		if !r.begin() {
			return meanwhile, nil
		}
		defer r.underway.Done()
		return r.discover(d), nil
	})
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case res := <-result:
		return res.Val.(Answer), nil
	case <-timer.C:
		return meanwhile, nil
	case <-ctx.Done():
		return Answer{}, context.Cause(ctx)
	}
}

func (r *Resolver) answer(e *entry, from Source) Answer {
	return Answer{Policy: &e.policy, ID: e.id, Until: r.time(e.expires), Source: from}
}

// moment is a point on the process's monotonic clock, in nanoseconds since the
// Resolver began. Lives run on it, so that the wall clock may jump.
type moment int64

func (r *Resolver) now() moment { return moment(time.Since(r.start)) }

func (r *Resolver) time(m moment) time.Time { return r.start.Add(time.Duration(m)) }

func (m moment) add(d time.Duration) moment { return m + moment(d) }
