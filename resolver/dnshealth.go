package resolver

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/singleflight"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

const (
	// probeInterval is how often the DNS is asked during an outage, for all domains
	// together.
	probeInterval = time.Second

	// maxFailed is how many names that failed, or are wanted in an outage, are used as
	// probes.
	maxFailed = 16

	// outageDomains is how many domains have to fail, none being answered in between,
	// before that is an outage although the resolver answers for the root: it has lost
	// its way to other name servers and answers from its cache.
	outageDomains = 3
)

// dnsHealth knows whether the DNS answers. Its states:
//
//	working   questions are answered. A failure of one name is that domain's own.
//	outage    no server answers, or name after name fails. One question a second is
//	          asked for all domains; the first answer to any question ends it.
//
// Independently of that, lookups that recheck a policy stop waiting for slow servers:
// after one has waited in vain, the others do not for a while.
type dnsHealth struct {
	ctx   context.Context
	clock *clock.Clock
	// probe asks for the record of a domain; for the zero Domain, for something that
	// every working resolver knows.
	probe func(context.Context, mtasts.Domain) error

	last   clock.Instant // when any question was last answered
	silent clock.Instant // until when rechecks are not waited for; 0 while they are answered

	failing atomic.Bool            // something failed since the last answer
	now     atomic.Pointer[outage] // nil while the DNS works
	probes  singleflight.Group     // the first one, that decides

	mu    sync.Mutex
	names []mtasts.Domain // that failed since the last answer or are wanted, the next probe last
}

// outage is a time in which the DNS does not answer.
type outage struct {
	health *dnsHealth
	ended  chan struct{}
}

func newDNSHealth(ctx context.Context, c *clock.Clock, probe func(context.Context, mtasts.Domain) error) *dnsHealth {
	return &dnsHealth{ctx: ctx, clock: c, probe: probe}
}

// outage returns the outage under way, nil while the DNS works.
func (h *dnsHealth) outage() *outage { return h.now.Load() }

// answered notes that a question was answered now, for whatever name.
func (h *dnsHealth) answered(now clock.Moment) {
	h.last.Set(now)
	if h.silent.Get() != 0 {
		h.silent.Set(0)
	}
	if !h.failing.Load() {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failing.Store(false)
	h.names = h.names[:0]
	if o := h.now.Swap(nil); o != nil {
		close(o.ended)
	}
}

// failed notes that a question about d, asked at began, was not answered, and reports
// whether that is an outage: no other question was answered meanwhile, and a probe is not
// answered either.
func (h *dnsHealth) failed(d mtasts.Domain, began clock.Moment) bool {
	if h.last.Get() > began {
		return h.outage() != nil
	}
	h.mu.Lock()
	h.next(d)
	many := len(h.names) >= outageDomains
	h.mu.Unlock()
	if h.outage() != nil {
		return true
	}
	if !many {
		answered, _, _ := h.probes.Do("", func() (any, error) { return h.probe(h.ctx, mtasts.Domain{}) == nil, nil })
		if answered.(bool) {
			return false
		}
	}
	h.begin()
	return true
}

// next makes the domain the next probe. mu is held.
func (h *dnsHealth) next(d mtasts.Domain) {
	h.names = slices.DeleteFunc(h.names, func(other mtasts.Domain) bool { return other == d })
	if len(h.names) == maxFailed {
		h.names = slices.Delete(h.names, 0, 1)
	}
	h.names = append(h.names, d)
	h.failing.Store(true)
}

func (h *dnsHealth) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.Load() != nil || h.ctx.Err() != nil {
		return
	}
	h.failing.Store(true)
	o := &outage{health: h, ended: make(chan struct{})}
	h.now.Store(o)
	go o.watch()
}

// watch asks once a second until something is answered. Every second probe is for what
// every resolver knows, as long as too few domains have failed for that to say nothing.
func (o *outage) watch() {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for general := true; ; general = !general {
		select {
		case <-ticker.C:
		case <-o.ended:
			return
		case <-o.health.ctx.Done():
			return
		}
		d := o.health.pick(general)
		go func() { // a name whose servers are silent delays no other probe
			if o.health.probe(o.health.ctx, d) == nil {
				o.health.answered(o.health.clock.Now())
			}
		}()
	}
}

// pick returns the name for the next probe and puts it behind the others.
func (h *dnsHealth) pick(general bool) mtasts.Domain {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := len(h.names)
	if n == 0 || general && n < outageDomains {
		return mtasts.Domain{}
	}
	d := h.names[n-1]
	copy(h.names[1:], h.names[:n-1])
	h.names[0] = d
	return d
}

// suggest makes the domain the next probe.
func (o *outage) suggest(d mtasts.Domain) {
	o.health.mu.Lock()
	defer o.health.mu.Unlock()
	o.health.next(d)
}

// wait waits for the end of the outage, for at most limit, and reports whether it has
// ended. The domain is the next to be asked for.
func (o *outage) wait(ctx context.Context, d mtasts.Domain, limit time.Duration) bool {
	o.suggest(d)
	timer := time.NewTimer(max(limit, time.Nanosecond))
	defer timer.Stop()
	select {
	case <-o.ended:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// lasts reports whether the outage is still under way.
func (o *outage) lasts() bool { return o.health.outage() == o }

// shouldWait reports whether a lookup should wait for a recheck. If not, the recheck
// still runs, behind its answer. While servers are silent, one lookup in dnsRetry
// waits.
func (h *dnsHealth) shouldWait(now clock.Moment) bool {
	return h.outage() == nil && (h.silent.Get() == 0 || h.silent.Claim(now, now.Add(dnsRetry)))
}

// unanswered notes that a lookup has waited in vain since began. If the DNS has answered
// others meanwhile, it is the domain that is slow.
func (h *dnsHealth) unanswered(began clock.Moment) {
	if h.last.Get() < began {
		h.silent.Set(h.clock.Now().Add(dnsRetry))
	}
}
