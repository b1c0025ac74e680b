package tlspolicy

import (
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// Override is a reply that the operator gives.
type Override struct {
	Reply socketmap.Reply
	// Until is when the override ends; zero for never.
	Until time.Time
}

// Overrides are given before anything else is asked.
type Overrides struct {
	// Hops are for one next hop, Exact for all next hops of a domain, Below for
	// those of every domain below it.
	Hops         map[resolver.NextHop]Override
	Exact, Below map[mtasts.Domain]Override
}

// Find returns the reply for a next hop. The most exact key takes precedence: the
// next hop, then the domain, then its parents, near ones before far ones.
// Overrides that have ended do not count.
func (o Overrides) Find(hop resolver.NextHop, at time.Time) (reply socketmap.Reply, ok bool) {
	if given, ok := lookUp(o.Hops, hop, at); ok {
		return given, true
	}
	if given, ok := lookUp(o.Exact, hop.Domain, at); ok {
		return given, true
	}
	if len(o.Below) == 0 {
		return reply, false
	}
	for parent, more := hop.Domain.Parent(); more; parent, more = parent.Parent() {
		if given, ok := lookUp(o.Below, parent, at); ok {
			return given, true
		}
	}
	return reply, false
}

func lookUp[K comparable](overrides map[K]Override, key K, at time.Time) (reply socketmap.Reply, ok bool) {
	o, ok := overrides[key]
	if !ok || !o.Until.IsZero() && !at.Before(o.Until) {
		return reply, false
	}
	return o.Reply, true
}
