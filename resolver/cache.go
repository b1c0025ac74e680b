package resolver

import (
	"sync/atomic"

	lru "github.com/hashicorp/golang-lru/v2"

	"mta-sts-daemon/resolver/mtasts"
)

// cache is what memory holds. Domains without a policy have an LRU of their
// own, so that a flood of them cannot push a policy out.
type cache struct {
	policies *lru.Cache[mtasts.Domain, *entry]
	absences *lru.Cache[mtasts.Domain, absence]
}

// entry is a policy in memory. What is not atomic never changes: news about a
// domain's policy is a new entry.
type entry struct {
	policy  mtasts.Policy
	id      string
	expires moment
	// recheck is when the record is to be asked for again, a moment.
	recheck atomic.Int64
	// trouble is why the policy cannot be renewed; nil while it can.
	trouble atomic.Pointer[trouble]
}

// trouble is a failure that lasts.
type trouble struct {
	id    string // whose fetch failed; empty where the record is the trouble
	retry moment // no fetch for that id before this
}

// absence is the knowledge that a domain has no policy to apply.
type absence struct {
	until moment
	trouble
}

// newCache panics where a size is not positive; the configuration refuses that.
func newCache(s Settings) *cache {
	policies, err := lru.New[mtasts.Domain, *entry](s.Entries)
	if err != nil {
		panic(err)
	}
	absences, err := lru.New[mtasts.Domain, absence](s.NegativeEntries)
	if err != nil {
		panic(err)
	}
	return &cache{policies, absences}
}

func (c *cache) resize(s Settings) {
	c.policies.Resize(s.Entries)
	c.absences.Resize(s.NegativeEntries)
}

// policy returns the domain's live policy, nil if there is none.
func (c *cache) policy(d mtasts.Domain, now moment) *entry {
	if e, ok := c.policies.Get(d); ok && now < e.expires {
		return e
	}
	return nil
}

// absent reports whether the domain is known to have no policy.
func (c *cache) absent(d mtasts.Domain, now moment) bool {
	a, ok := c.absences.Get(d)
	return ok && now < a.until
}

// trouble returns the failure that is remembered of the domain, nil if none.
func (c *cache) trouble(d mtasts.Domain) *trouble {
	if e, ok := c.policies.Peek(d); ok { // live or expired
		return e.trouble.Load()
	}
	if a, ok := c.absences.Peek(d); ok && a.id != "" {
		return &a.trouble
	}
	return nil
}

func (c *cache) keepPolicy(d mtasts.Domain, e *entry) {
	c.policies.Add(d, e)
	c.absences.Remove(d)
}

func (c *cache) keepAbsence(d mtasts.Domain, a absence) {
	c.absences.Add(d, a)
	c.policies.Remove(d)
}

func (c *cache) forget(d mtasts.Domain) {
	c.policies.Remove(d)
	c.absences.Remove(d)
}

func (e *entry) recheckAt() moment    { return moment(e.recheck.Load()) }
func (e *entry) setRecheck(at moment) { e.recheck.Store(int64(at)) }

// claimRecheck reports whether the caller is the one lookup that waits for the
// record to be asked for again; the others go on with what is known. The claim
// holds until the outcome sets another time, or lapses where the DNS fails.
func (e *entry) claimRecheck(now moment) bool {
	due := e.recheck.Load()
	return moment(due) <= now && e.recheck.CompareAndSwap(due, int64(now.add(dnsRetry)))
}
