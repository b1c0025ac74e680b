package policies

import (
	"cmp"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// maxWatched bounds the domains that are counted as failing or mismatched, and with
// it some 10 MB of memory. Only a fault of this host fills it.
const maxWatched = 100_000

// watched is a live policy that needs the operator. Eviction leaves it watched.
type watched struct {
	expires                     clock.Moment
	enforced, failing, mismatch bool
	deferred                    int64 // lookups while no MX host matches, of this process
}

// expiringWithin is how soon a failing policy of mode enforce ends that is expiring.
const expiringWithin = 48 * time.Hour

// endsWithin reports whether protection ends within that time because the refresh fails.
func (w *watched) endsWithin(limit time.Duration, now clock.Moment) bool {
	return w.failing && w.enforced && w.expires.Sub(now) <= limit
}

// watch counts the domain, or does so no longer, by what e says. The domain's lock
// is held.
func (t *Table) watch(d mtasts.Domain, e *Entry, now clock.Moment) {
	w := &watched{
		expires:  e.expires.Get(),
		enforced: e.policy.Mode == mtasts.ModeEnforce,
		failing:  t.failing(e, now),
		mismatch: e.mismatched(),
	}
	if !w.failing && !w.mismatch {
		t.unwatch(d)
		return
	}
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	before := t.watched[d]
	if before != nil && before.mismatch && w.mismatch {
		w.deferred = before.deferred
	}
	if before != nil || len(t.watched) < maxWatched {
		t.watched[d] = w
	}
}

// countDeferred counts a lookup of a domain whose policy matches no MX host.
func (t *Table) countDeferred(d mtasts.Domain) {
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	if w := t.watched[d]; w != nil {
		w.deferred++
	}
}

// deferred returns how many such lookups were counted.
func (t *Table) deferred(d mtasts.Domain) int64 {
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	if w := t.watched[d]; w != nil {
		return w.deferred
	}
	return 0
}

// Mismatched returns the domains whose policy matches no MX host, those with the most
// lookups first.
func (t *Table) Mismatched() []mtasts.Domain {
	return t.watching(func(w *watched, _ clock.Moment) bool { return w.mismatch },
		func(a, b *watched) int { return cmp.Compare(b.deferred, a.deferred) })
}

// Expiring returns the domains that lose their protection within 48 hours because the
// refresh fails, those that end first first.
func (t *Table) Expiring() []mtasts.Domain {
	return t.watching(func(w *watched, now clock.Moment) bool { return w.endsWithin(expiringWithin, now) },
		func(a, b *watched) int { return cmp.Compare(a.expires, b.expires) })
}

// watching returns the watched domains that are wanted, in that order and then by name.
func (t *Table) watching(wanted func(*watched, clock.Moment) bool, order func(a, b *watched) int) (found []mtasts.Domain) {
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	now := t.clock.Now()
	for d, w := range t.watched {
		if w.expires > now && wanted(w, now) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b mtasts.Domain) int {
		return cmp.Or(order(t.watched[a], t.watched[b]), cmp.Compare(a.String(), b.String()))
	})
	return found
}

// failing reports whether the operator needs to know that the entry's last refresh
// failed. The domain's lock is held.
func (t *Table) failing(e *Entry, now clock.Moment) bool {
	return e.failure != nil && e.policy.Mode != mtasts.ModeNone && e.inUse(now, t.limits.Load())
}

func (t *Table) unwatch(d mtasts.Domain) {
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	delete(t.watched, d)
}

func (t *Table) unwatchAll() {
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	clear(t.watched)
}

// Recall counts the domains that an earlier process found failing or mismatched, and
// corrects when those are due that a clock ahead has written. The first Census comes with
// it. It ends early if stop is closed.
func (t *Table) Recall(stop <-chan struct{}) {
	latest := t.clock.Now().Add(maxAhead)
	t.scan(stop, func(s store.Entry) {
		ahead := !s.Fetched.ThisBoot && s.Fetched.Moment(t.clock.Origin()) > latest
		if s.Failures > 0 || s.Mismatch != 0 || ahead {
			t.recall(s.Domain, ahead)
		}
	})
}

func (t *Table) recall(d mtasts.Domain, ahead bool) {
	defer t.unlock(t.lock(d))
	now := t.clock.Now()
	e := t.policies.peek(d)
	if e == nil {
		s, ok := t.store.Get(d)
		if !ok {
			return
		}
		e = t.fromStore(s, now)
		t.verdicts.Restore(d, s.Verdicts) // save writes them down again
	}
	t.watch(d, e, now)
	if ahead {
		t.save(d, e, now)
	}
}

// Counts are how many live policies need the operator.
type Counts struct {
	// Failing are those of domains in use that cannot be refreshed, Mismatched those
	// that match no MX host.
	Failing, Mismatched int
	// Expiring are the failing ones of mode enforce that end within a day, and
	// within two.
	Expiring24h, Expiring48h int
}

// Counts returns the present Counts.
func (t *Table) Counts() (c Counts) {
	now := t.clock.Now()
	t.watchMu.Lock()
	defer t.watchMu.Unlock()
	for d, w := range t.watched {
		left := w.expires.Sub(now)
		if left <= 0 {
			delete(t.watched, d)
			continue
		}
		if w.mismatch {
			c.Mismatched++
		}
		if !w.failing {
			continue
		}
		c.Failing++
		if w.endsWithin(24*time.Hour, now) {
			c.Expiring24h++
		}
		if w.endsWithin(expiringWithin, now) {
			c.Expiring48h++
		}
	}
	return c
}

// The metric of entries in memory. Package resolver adds the verdicts of DANE.
const (
	EntriesMetric = "mta_sts_cache_entries"
	EntriesHelp   = "Entries in memory: policy, negative (domains without a policy) and dane (results for next hops)."
)

type metrics struct{ downgrades prometheus.Counter }

// newMetrics registers what there is at the moment, and the counter of downgrades.
func newMetrics(reg prometheus.Registerer, t *Table) *metrics {
	factory := promauto.With(reg)
	gauge := func(name, help string, labels prometheus.Labels, value func() int) {
		factory.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels},
			func() float64 { return float64(value()) })
	}
	gauge(EntriesMetric, EntriesHelp, prometheus.Labels{"kind": "policy"}, t.policies.len)
	gauge(EntriesMetric, EntriesHelp, prometheus.Labels{"kind": "negative"}, t.negatives.Len)
	gauge("mta_sts_policies_refresh_failing",
		"Policies of domains in use whose last refresh failed; they apply until they expire.",
		nil, func() int { return t.Counts().Failing })
	const expiring, expiringHelp = "mta_sts_policies_expiring", "Policies of mode enforce whose refresh fails and that expire within this time. After that, mail to their domains is sent as without a policy."
	gauge(expiring, expiringHelp, prometheus.Labels{"within": "24h"}, func() int { return t.Counts().Expiring24h })
	gauge(expiring, expiringHelp, prometheus.Labels{"within": "48h"}, func() int { return t.Counts().Expiring48h })
	gauge("mta_sts_policies_mx_mismatch",
		"Policies of mode enforce that match none of their domain's MX hosts: mail to the domains is deferred.",
		nil, func() int { return t.Counts().Mismatched })
	return &metrics{downgrades: factory.NewCounter(prometheus.CounterOpts{
		Name: "mta_sts_policy_downgrades_total",
		Help: "Policies of mode enforce that their domains replaced by a policy of mode testing or none.",
	})}
}
