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

	// One in commonEvery probes is for what every resolver knows, one in cachedEvery if the
	// answer says nothing.
	commonEvery = 2
	cachedEvery = 8

	// maxFailed is how many names that failed, or are wanted in an outage, are used as
	// probes: so many of domains with a policy, and so many of others. A flood of names
	// without end displaces others of its kind only.
	maxFailed = 16

	// outageDomains is how many domains have to fail, none being answered in between,
	// before that is an outage although the resolver answers for the root: it has lost
	// its way to other name servers and answers from its cache.
	outageDomains = 3
)

// dnsHealth knows whether the DNS answers. Its states:
//
//	working   questions are answered. A failure of one name is that domain's own.
//	outage    no server answers, or name after name fails. One probe a second is
//	          made for all domains; the first answer to any question ends it.
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
	names [2]probeNames // that failed since the last answer or are wanted, by kind
}

// The kinds of names: of domains with a policy, and of others.
const (
	knownNames = iota
	otherNames
)

// probeNames are names to ask for, the next one last.
type probeNames []mtasts.Domain

// add makes the domain the next one.
func (p *probeNames) add(d mtasts.Domain) {
	*p = slices.DeleteFunc(*p, func(other mtasts.Domain) bool { return other == d })
	if len(*p) == maxFailed {
		*p = slices.Delete(*p, 0, 1)
	}
	*p = append(*p, d)
}

// pick returns the next one and puts it behind the others; the zero Domain without any.
func (p probeNames) pick() (d mtasts.Domain) {
	if last := len(p) - 1; last >= 0 {
		d = p[last]
		copy(p[1:], p[:last])
		p[0] = d
	}
	return d
}

// outage is a time in which the DNS does not answer.
type outage struct {
	health *dnsHealth
	ended  chan struct{}
	// What every resolver knows is asked for too. If that failed in this outage (total), its
	// next answer ends the outage. If not, an answer (cached) says nothing.
	total, cached atomic.Bool
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
	h.names = [2]probeNames{}
	if o := h.now.Swap(nil); o != nil {
		close(o.ended)
	}
}

// failed notes that a question about d, asked at began, was not answered, and reports
// whether that is an outage: no other question was answered meanwhile, and a probe is not
// answered either. known says that d has a policy.
func (h *dnsHealth) failed(d mtasts.Domain, known bool, began clock.Moment) bool {
	if h.last.Get() > began {
		return h.outage() != nil
	}
	many := h.next(d, known) >= outageDomains
	if h.outage() != nil {
		return true
	}
	if !many && h.answers() {
		return false
	}
	h.begin(!many)
	return true
}

// lost returns the outage under way, nil without one, after a question about a policy host
// that was not answered.
func (h *dnsHealth) lost() *outage {
	if h.outage() == nil && !h.answers() {
		h.begin(true)
	}
	return h.outage()
}

// answers makes a probe for what every resolver knows, and reports whether it is answered.
func (h *dnsHealth) answers() bool {
	answered, _, _ := h.probes.Do("", func() (any, error) { return h.probe(h.ctx, mtasts.Domain{}) == nil, nil })
	return answered.(bool)
}

// next makes the domain the next probe of its kind, and returns how many names there are.
func (h *dnsHealth) next(d mtasts.Domain, known bool) (names int) {
	kind := otherNames
	if known {
		kind = knownNames
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.names[kind].add(d)
	h.failing.Store(true)
	return len(h.names[knownNames]) + len(h.names[otherNames])
}

func (h *dnsHealth) begin(total bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.now.Load() != nil || h.ctx.Err() != nil {
		return
	}
	h.failing.Store(true)
	o := &outage{health: h, ended: make(chan struct{})}
	o.total.Store(total)
	h.now.Store(o)
	go o.watch()
}

// watch asks once a second until something is answered.
func (o *outage) watch() {
	ticker := time.NewTicker(probeInterval)
	defer ticker.Stop()
	for second := 0; ; second++ {
		select {
		case <-ticker.C:
		case <-o.ended:
			return
		case <-o.health.ctx.Done():
			return
		}
		d := o.pick(second)
		go o.ask(d) // a name whose servers are silent delays no other probe
	}
}

// ask makes a probe.
func (o *outage) ask(d mtasts.Domain) {
	err := o.health.probe(o.health.ctx, d)
	switch {
	case d.IsZero() && err != nil:
		o.total.Store(true)
		o.cached.Store(false)
	case d.IsZero() && !o.total.Load():
		o.cached.Store(true)
	case err == nil:
		o.health.answered(o.health.clock.Now())
	}
}

// pick returns the name for a probe; the zero Domain stands for what every resolver knows. The
// others are in turn for domains with a policy and without.
func (o *outage) pick(second int) (d mtasts.Domain) {
	every := commonEvery
	if o.cached.Load() {
		every = cachedEvery
	}
	if second%every == 0 {
		return d
	}
	o.health.mu.Lock()
	defer o.health.mu.Unlock()
	kind := second / commonEvery % 2
	if d = o.health.names[kind].pick(); d.IsZero() {
		d = o.health.names[1-kind].pick()
	}
	return d
}

// suggest makes a domain with a policy the next probe of its kind.
func (o *outage) suggest(d mtasts.Domain) { o.health.next(d, true) }

// wait waits for the end of the outage, for at most limit, and reports whether it has
// ended. The domain, of which nothing is known, is the next of its kind to be asked for.
func (o *outage) wait(ctx context.Context, d mtasts.Domain, limit time.Duration) bool {
	o.health.next(d, false)
	return o.ends(ctx, max(limit, time.Nanosecond))
}

// ends waits for the end of the outage, for at most limit, and reports whether it has ended.
func (o *outage) ends(ctx context.Context, limit time.Duration) bool {
	timer := time.NewTimer(limit)
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
