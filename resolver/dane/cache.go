package dane

import (
	"slices"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

const (
	// hold is how long past its end a verdict holds until a newer one is available.
	hold = 24 * time.Hour

	// claimLapse is how long a claimed refresh keeps others from claiming it.
	claimLapse = 30 * time.Second
)

// refreshAfter is when in its life a verdict is due to be looked up again: at 80 %.
func refreshAfter(life time.Duration) time.Duration { return life * 8 / 10 }

// Cache has the verdicts on next hops. A verdict is current until its end, and holds
// for a day more if the DNS cannot give a newer one. It is safe for concurrent use.
type Cache struct {
	clock    *clock.Clock
	verdicts *lru.Cache[NextHop, *cached]
}

// cached is what memory has of a next hop. Except for refresh it never changes.
type cached struct {
	kind    Kind // 0 without a verdict
	until   clock.Moment
	refresh clock.Instant // when it is due to be looked up again

	// failed is the question that kind is Unknown for, if that is known.
	failed error

	// failure is why the last check gave no verdict; nil if it gave one.
	failure *failure
}

// failure is a check that could not be made.
type failure struct {
	err   error
	count int // in a row
	until clock.Moment
	while func() bool // the failure counts only as long as this returns true; nil: always
}

func (v *cached) current(now clock.Moment) bool { return v != nil && v.kind != 0 && now < v.until }

func (v *cached) holds(now clock.Moment) bool {
	return v != nil && v.kind != 0 && now < v.until.Add(hold)
}

// NewCache returns a Cache with room for so many next hops. It panics if that is not
// positive.
func NewCache(c *clock.Clock, room int) *Cache {
	verdicts, err := lru.New[NextHop, *cached](room)
	if err != nil {
		panic(err)
	}
	return &Cache{clock: c, verdicts: verdicts}
}

// Resize makes room for so many next hops.
func (c *Cache) Resize(room int) { c.verdicts.Resize(room) }

// Len returns how many next hops there are.
func (c *Cache) Len() int { return c.verdicts.Len() }

// Has reports whether anything is known of the next hop.
func (c *Cache) Has(hop NextHop) bool { return c.verdicts.Contains(hop) }

// Current returns the verdict if it has not ended. due is true for the one caller
// that has to look it up again because it ends soon.
func (c *Cache) Current(hop NextHop, now clock.Moment) (kind Kind, due, ok bool) {
	v, _ := c.verdicts.Peek(hop) // a verdict in use is refreshed, which marks it as used
	if !v.current(now) {
		return 0, false, false
	}
	return v.kind, v.refresh.Claim(now, now.Add(claimLapse)), true
}

// Held returns the last verdict as long as it holds, from the stored ones if memory lacks
// it, without any effect; 0 without one.
func (c *Cache) Held(hop NextHop, stored []store.Verdict, now clock.Moment) Kind {
	v, _ := c.verdicts.Peek(hop)
	for _, s := range stored {
		if v == nil && s.MX == hop.MX && s.Port == hop.Port {
			v = c.restored(s)
		}
	}
	if !v.holds(now) {
		return 0
	}
	return v.kind
}

// Last returns the last verdict as long as it holds. due is true for the one caller
// that has to look it up again.
func (c *Cache) Last(hop NextHop, now clock.Moment) (kind Kind, due, ok bool) {
	v, _ := c.verdicts.Get(hop)
	if !v.holds(now) {
		return 0, false, false
	}
	return v.kind, v.refresh.Claim(now, now.Add(claimLapse)), true
}

// Put stores the verdict of a check, and reports whether it did. If some mail hosts
// cannot be known, a verdict that holds has precedence, unless the new one found more
// DANE than that. save is the verdict if it is one to be saved with the domain's policy.
func (c *Cache) Put(hop NextHop, v Verdict, now clock.Moment) (save []store.Verdict, ok bool) {
	if last, _ := c.verdicts.Peek(hop); last.holds(now) && last.kind != Unknown &&
		(v.Kind == Unknown || v.Incomplete && last.kind > v.Kind) {
		return nil, false
	}
	filed := &cached{kind: v.Kind, until: now.Add(v.TTL), failed: v.Failed}
	filed.refresh.Set(now.Add(refreshAfter(v.TTL)))
	c.verdicts.Add(hop, filed)
	if slices.Contains(storedHops(hop.Domain), hop) {
		save = append(save, filed.stored(hop))
	}
	return save, true
}

// Fail notes that a check could not be made. Until the time that Retry gives for the
// number of failures in a row, Failure returns err, but only as long as while, if it
// is not nil, returns true.
func (c *Cache) Fail(hop NextHop, err error, while func() bool, now clock.Moment) {
	filed := &cached{failure: &failure{err: err, count: 1, while: while}}
	if last, ok := c.verdicts.Peek(hop); ok {
		filed.kind, filed.until, filed.failed = last.kind, last.until, last.failed
		filed.refresh.Set(last.refresh.Get())
		if f := last.failure; f != nil && (f.while == nil || f.while()) { // failures in an outage that has ended do not count
			filed.failure.count += f.count
		}
	}
	filed.failure.until = now.Add(dnsclient.Retry(filed.failure.count))
	c.verdicts.Add(hop, filed)
}

// Failure returns why the next hop is not to be checked at present, nil if it is.
func (c *Cache) Failure(hop NextHop, now clock.Moment) error {
	v, ok := c.verdicts.Get(hop)
	if !ok || v.failure == nil || now >= v.failure.until || v.failure.while != nil && !v.failure.while() {
		return nil
	}
	return v.failure.err
}

// Failed returns the question that could not be answered, if the last verdict is
// Unknown; nil if it is another, or if it was restored from the file, which lacks that.
func (c *Cache) Failed(hop NextHop) error {
	v, _ := c.verdicts.Peek(hop)
	if v == nil || v.kind != Unknown {
		return nil
	}
	return v.failed
}

// Forget removes the verdicts on the domain's next hops.
func (c *Cache) Forget(d mtasts.Domain) {
	for _, hop := range c.hops(d) {
		c.verdicts.Remove(hop)
	}
}

// ForgetAll removes all verdicts.
func (c *Cache) ForgetAll() { c.verdicts.Purge() }

// HopVerdict is a verdict on a next hop, which ends at Until.
type HopVerdict struct {
	NextHop NextHop
	Kind    Kind
	Until   clock.Moment
}

// Of returns the current verdicts on the domain's next hops.
func (c *Cache) Of(d mtasts.Domain) (found []HopVerdict) {
	now := c.clock.Now()
	for _, hop := range c.hops(d) {
		if v, _ := c.verdicts.Peek(hop); v.current(now) {
			found = append(found, HopVerdict{hop, v.kind, v.until})
		}
	}
	return found
}

func (c *Cache) hops(d mtasts.Domain) (hops []NextHop) {
	for _, hop := range c.verdicts.Keys() {
		if hop.Domain == d {
			hops = append(hops, hop)
		}
	}
	return hops
}

// storedHops are the next hops of a domain whose verdicts are saved with its policy.
// main.cf names them d, [d] and [d]:587.
func storedHops(d mtasts.Domain) []NextHop {
	return []NextHop{
		{Domain: d, MX: true, Port: SMTPPort},
		{Domain: d, MX: false, Port: SMTPPort},
		{Domain: d, MX: false, Port: 587},
	}
}

func (v *cached) stored(hop NextHop) store.Verdict {
	return store.Verdict{MX: hop.MX, Port: hop.Port, Kind: uint8(v.kind), Until: v.until}
}

// Stored returns those of the domain's verdicts that are saved.
func (c *Cache) Stored(d mtasts.Domain) (stored []store.Verdict) {
	for _, hop := range storedHops(d) {
		if v, _ := c.verdicts.Peek(hop); v != nil && v.kind != 0 {
			stored = append(stored, v.stored(hop))
		}
	}
	return stored
}

// Restore takes back verdicts that were saved, unless newer ones are known.
func (c *Cache) Restore(d mtasts.Domain, stored []store.Verdict) {
	for _, s := range stored {
		c.verdicts.ContainsOrAdd(NextHop{Domain: d, MX: s.MX, Port: s.Port}, c.restored(s))
	}
}

// restored returns a stored verdict for the cache. Two kinds end at once, so that they
// hold but are not current: one that would last longer than MaxTTL, which was saved when
// the clock was ahead, and Unknown, because only a check can name the question that fails.
func (c *Cache) restored(s store.Verdict) *cached {
	until, now := s.Until, c.clock.Now()
	if until > now.Add(MaxTTL) || until > now && Kind(s.Kind) == Unknown {
		until = now
	}
	return &cached{kind: Kind(s.Kind), until: until}
}
