package resolver

import (
	"log/slog"
	"slices"
	"sync"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
)

const (
	// maxDeferrals limits how many deferred next hops are remembered, and with it
	// some 2 MB of memory.
	maxDeferrals = 10_000
	// deferralLapse is how long after its last TEMP a next hop is removed. Postfix tries
	// deferred mail again within 4,000 s (maximal_backoff_time), so no mail to it is left.
	deferralLapse = 2 * time.Hour
)

// Deferral says since when lookups of a next hop are answered with TEMP, because DANE
// cannot be looked up.
type Deferral struct {
	NextHop NextHop
	Reason  string // the question that failed
	Since   time.Time
	Last    time.Time // the last such lookup
	Lookups int
}

// deferrals has the next hops whose lookups are answered with TEMP because DANE cannot be
// looked up. A deferral begins with such a reply. It ends with a verdict other than Unknown, or
// with a lookup that is answered because the domain has no enforced policy; that is logged. If
// deferralLapse has passed since the last TEMP, prune removes it, which is not logged. The zero
// value is empty.
type deferrals struct {
	mu   sync.Mutex
	hops map[NextHop]*deferral
}

type deferral struct {
	reason      string
	since, last clock.Moment
	lookups     int
}

// prune removes the deferrals whose last TEMP is more than deferralLapse ago. mu is held.
func (d *deferrals) prune(now clock.Moment) {
	for hop, f := range d.hops {
		if now.Sub(f.last) > deferralLapse {
			delete(d.hops, hop)
		}
	}
}

// Deferred notes that a lookup of the next hop was answered with TEMP because DANE could
// not be looked up, for the given reason. withheld says that mode monitor replaced the
// reply.
func (r *Resolver) Deferred(hop NextHop, reason string, withheld bool) {
	now := r.clock.Now()
	r.deferrals.mu.Lock()
	defer r.deferrals.mu.Unlock()
	if f := r.deferrals.hops[hop]; f != nil {
		f.reason, f.last, f.lookups = reason, now, f.lookups+1
		return
	}
	if kind := r.verdicts.Held(hop, nil, now); kind != 0 && kind != dane.Unknown {
		return // found since the reply was made
	}
	if len(r.deferrals.hops) >= maxDeferrals {
		r.deferrals.prune(now)
	}
	if len(r.deferrals.hops) < maxDeferrals {
		if r.deferrals.hops == nil {
			r.deferrals.hops = map[NextHop]*deferral{}
		}
		r.deferrals.hops[hop.Clone()] = &deferral{reason: reason, since: now, last: now, lookups: 1}
	}
	about := []slog.Attr{event.Domain(hop.Domain.String()), slog.String("reason", reason)}
	if withheld {
		about = append(about, slog.Bool("monitor", true))
	}
	event.DANEUnknown.Log(r.logger, about...)
}

// NotDeferred notes that a lookup of the next hop was answered although the verdict is Unknown.
func (r *Resolver) NotDeferred(hop NextHop) { r.endDeferral(hop) }

// endDeferral removes the next hop's deferral, if it has one, and logs that.
func (r *Resolver) endDeferral(hop NextHop) {
	r.deferrals.mu.Lock()
	f := r.deferrals.hops[hop]
	delete(r.deferrals.hops, hop)
	r.deferrals.mu.Unlock()
	if f != nil {
		event.DANEKnown.Log(r.logger, event.Domain(hop.Domain.String()), slog.String("reason", f.reason),
			slog.Duration("after", r.clock.Now().Sub(f.since).Round(time.Second)))
	}
}

// Deferrals returns the next hops whose last lookup was answered with TEMP, by domain.
func (r *Resolver) Deferrals() map[mtasts.Domain][]Deferral {
	o := r.clock.Origin()
	r.deferrals.mu.Lock()
	defer r.deferrals.mu.Unlock()
	r.deferrals.prune(r.clock.Now())
	found := map[mtasts.Domain][]Deferral{}
	for hop, f := range r.deferrals.hops {
		if r.asksDANE(hop) { // false if DANE has been switched off
			found[hop.Domain] = append(found[hop.Domain], Deferral{NextHop: hop, Reason: f.reason,
				Since: o.Wall(f.since), Last: o.Wall(f.last), Lookups: f.lookups})
		}
	}
	for _, of := range found {
		slices.SortFunc(of, func(a, b Deferral) int { return a.Since.Compare(b.Since) })
	}
	return found
}
