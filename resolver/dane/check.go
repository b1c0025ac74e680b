package dane

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// MaxHosts bounds how many MX hosts are checked, most preferred first. Postfix
	// tries at most five addresses.
	MaxHosts = 20
	// concurrency bounds how many MX hosts are checked at the same time. A further one
	// waits for two round trips to the resolver. Few domains have more than eight.
	concurrency = 8
	// timeLimit bounds a check of several hosts. Hosts not finished by then count as
	// unreachable. A single host takes a few questions, each with its own limit.
	timeLimit = 30 * time.Second
)

// Checker checks next hops. It caches nothing and is safe for concurrent use.
type Checker struct{ dns DNS }

// New returns a Checker that asks dns.
func New(dns DNS) *Checker { return &Checker{dns} }

// Check checks mail to host at port: to its MX hosts if mx is true, else to host
// itself. Port 0 stands for an unknown port, for which no TLSA record can be
// found.
//
// An error means that the verdict is missing: the MX records or, without mx, the
// addresses of host could not be looked up, or ctx ended before the check was
// complete.
func (c *Checker) Check(ctx context.Context, host mtasts.Domain, mx bool, port uint16) (Verdict, error) {
	if !mx {
		return c.CheckHost(ctx, host.String(), port)
	}
	if port == 0 {
		return noDANE, nil
	}
	v, err := c.domain(ctx, host.String(), port)
	return complete(ctx, host.String(), v, err)
}

// CheckHost is Check for one mail host alone. Its name may be any DNS name: MX hosts
// need not be policy domains.
func (c *Checker) CheckHost(ctx context.Context, name string, port uint16) (Verdict, error) {
	if port == 0 {
		return noDANE, nil
	}
	v, err := c.smartHost(ctx, name, port)
	return complete(ctx, name, v, err)
}

// complete returns an error if ctx has ended: hosts may only seem to be unreachable.
func complete(ctx context.Context, name string, v Verdict, err error) (Verdict, error) {
	if err == nil && ctx.Err() != nil {
		err = fmt.Errorf("DANE of %s: %w", name, context.Cause(ctx))
	}
	if err != nil {
		return Verdict{}, err
	}
	return v, nil
}

// domain checks the MX hosts of a domain. If its MX records are not authenticated, it
// has no DANE, because an attacker may have replaced the hosts (RFC 7672 section 2.2.1).
func (c *Checker) domain(ctx context.Context, name string, port uint16) (Verdict, error) {
	answer, err := c.dns.MX(ctx, name)
	if err = vouched(answer.Unvouched, err); err != nil {
		return Verdict{}, err
	}
	life := answer.TTL
	if !answer.Authenticated {
		return verdict(None, life), nil
	}
	hosts := MailHosts(name, answer.Records)
	if len(hosts) == 1 {
		return conclude(life, []hostResult{c.host(ctx, hosts[0], port)})
	}
	return conclude(life, c.hosts(ctx, hosts[:min(len(hosts), MaxHosts)], port))
}

// hosts checks several MX hosts in parallel.
func (c *Checker) hosts(ctx context.Context, hosts []string, port uint16) []hostResult {
	results := make([]hostResult, len(hosts))
	ctx, cancel := context.WithTimeout(ctx, timeLimit)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(concurrency)
	for i, host := range hosts {
		group.Go(func() error {
			results[i] = c.host(ctx, host, port)
			return nil
		})
	}
	group.Wait() // a host that cannot be checked is a result, not an error
	return results
}

// smartHost checks a next hop that is the mail host itself.
func (c *Checker) smartHost(ctx context.Context, name string, port uint16) (Verdict, error) {
	h, err := c.dns.Host(ctx, name)
	if err = vouched(h.Unvouched, err); err != nil {
		return Verdict{}, err
	}
	return conclude(MaxTTL, []hostResult{c.addressed(ctx, name, h, port)})
}

// conclude makes a verdict of the results at the mail hosts; life is the least TTL of
// the answers before them. If it cannot be known whether an answer is authenticated,
// conclude returns an error, so that an older verdict stays in force.
func conclude(life time.Duration, results []hostResult) (Verdict, error) {
	var hosts int
	var count [lastState + 1]int
	var failed error
	for _, f := range results {
		if f.unvouched {
			return Verdict{}, errUnvouched
		}
		count[f.state]++
		failed = cmp.Or(failed, f.err)
		if f.state != noAddress {
			hosts++
		}
		life = min(life, f.ttl)
	}
	kind := None
	switch {
	case hosts > 0 && count[usable] == hosts:
		kind = Full
	case count[usable] > 0:
		kind = Partial
	case count[unreachable] > 0:
		kind = Unknown
	case count[unusable] > 0:
		kind = Unusable
	}
	v := verdict(kind, life)
	v.Incomplete = count[unreachable] > 0
	if kind == Unknown {
		v.Failed = failed
	}
	return v, nil
}

// verdict keeps life within its bounds. A negative answer without a TTL has 0.
func verdict(k Kind, life time.Duration) Verdict {
	return Verdict{Kind: k, TTL: min(max(life, MinTTL), MaxTTL)}
}
