package resolver

import (
	"time"

	"mta-sts-daemon/resolver/dane"
)

// Peek returns what memory knows about a next hop and changes nothing: it starts
// no discovery, notes no use and counts nothing. ok is false if memory does not
// know whether the domain has a policy, or what DANE says of the next hop.
func (r *Resolver) Peek(hop NextHop, at time.Time) (a Answer, ok bool) {
	now := r.clock.read(at)
	if r.asksDANE(hop) {
		v, ok := r.cache.verdicts.Peek(hop)
		if !ok || !v.holds(now) {
			return Answer{}, false
		}
		a.DANE = v.kind
	}
	if e := r.cache.inMemory(hop.Domain, now); e != nil {
		a.Policy = &e.policy
		return a, true
	}
	absent, ok := r.cache.absences.Peek(hop.Domain)
	if !ok || now >= absent.until {
		// DANE that applies needs no policy: the answer is the same with any.
		return a, a.DANE == dane.Full
	}
	return a, true
}
