package resolver

import (
	"fmt"
	"log/slog"
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/policyhost"
)

const (
	// unreachableAfter is for how long every fetch must have failed before the fault is
	// here and not with the publishers.
	unreachableAfter = 10 * time.Minute

	// unreachableDomains is how many domains must have failed, goodDomains how many of
	// them with a policy from an earlier fetch: broken publishers never had one.
	unreachableDomains = 5
	goodDomains        = 3

	// localDomains is how many must have failed for a reason of this host's own. One may
	// be the only one that has no IPv4.
	localDomains = 2

	// maxSeen bounds the domains that are remembered; more than enough to judge.
	maxSeen = 1000
)

// reach knows whether policy hosts can be reached from this host. Its states:
//
//	reachable     a fetch succeeded, or too few have failed to judge
//	unreachable   fetches for several domains failed for a reason of this host's own (no
//	              route, proxy, authorities), or all fetches for ten minutes; the next
//	              success ends it
//
// While policy hosts are unreachable, no failure counts against a publisher. Whether a
// failure is reported to its publisher (TLSRPT) is decided more strictly, by when a
// policy host's certificate was last accepted.
type reach struct {
	clock  *clock.Clock
	logger *slog.Logger

	mu    sync.Mutex                    // guards what follows
	since clock.Moment                  // of the first failure since the last success; 0 without one
	seen  map[mtasts.Domain]failedFetch // since then
	fault error                         // why policy hosts are unreachable; nil while they are reachable

	accepted clock.Moment // when a certificate was last accepted; 0 if none was
}

// failedFetch is how a domain failed.
type failedFetch struct {
	local bool // for a reason of this host's own
	good  bool // although an earlier fetch succeeded
}

func newReach(c *clock.Clock, logger *slog.Logger) *reach {
	return &reach{clock: c, logger: logger, seen: map[mtasts.Domain]failedFetch{}}
}

// fetched notes how a fetch for d ended, and reports whether a failure counts against the
// publisher. good means that d has a policy from an earlier fetch.
func (r *reach) fetched(d mtasts.Domain, good bool, err error) (blame bool) {
	_, fault := policyhost.Classify(err)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.clock.Now()
	switch {
	case policyhost.Answered(err):
		r.accepted = now
		r.recovered()
		return err != nil && fault == policyhost.FaultPublisher
	case fault == policyhost.FaultDNS, fault == policyhost.FaultLoad:
		return false
	}
	if r.since == 0 {
		r.since = now
	}
	local := fault == policyhost.FaultLocal
	if r.fault == nil && len(r.seen) < maxSeen {
		r.seen[d] = failedFetch{local, good}
	}
	if r.fault == nil && r.unreachable(now) {
		r.fault = fmt.Errorf("every fetch since %v has failed, the last one: %w", r.clock.Origin().Wall(r.since).UTC().Truncate(time.Second), err)
		event.PolicyHostsUnreachable.Log(r.logger, event.Reason(err))
	}
	return !local && r.fault == nil
}

func (r *reach) unreachable(now clock.Moment) bool {
	local, good := 0, 0
	for _, f := range r.seen {
		if f.local {
			local++
		}
		if f.good {
			good++
		}
	}
	return local >= localDomains ||
		len(r.seen) >= unreachableDomains && good >= goodDomains && now.Sub(r.since) >= unreachableAfter
}

// blames reports whether f, which counts against its publisher, is certain enough to be
// reported to it. It is not if no policy host's certificate was accepted for ten minutes in
// which fetches failed: then the fault may be here. What depends on the wall clock is
// certain only if a certificate was accepted by that clock, since it was last set.
func (r *reach) blames(f *policies.Failure) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case r.fault != nil:
		return false
	case r.since != 0 && r.clock.Now().Sub(r.since) >= unreachableAfter:
		return false
	case f.ByClock:
		return r.accepted != 0 && r.accepted >= r.clock.LastStep()
	}
	return true
}

// recovered ends a time without success. mu is held.
func (r *reach) recovered() {
	r.since = 0
	clear(r.seen)
	if r.fault != nil {
		r.fault = nil
		event.PolicyHostsReachable.Log(r.logger)
	}
}

// err returns why policy hosts are unreachable, nil while they are reachable.
func (r *reach) err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// Unreachable returns why no policy host can be reached from this host, nil if that is not
// so or not known.
func (r *Resolver) Unreachable() error { return r.reach.err() }
