package policies

import (
	"hash/maphash"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// Limits can be changed by a reload.
type Limits struct {
	// Entries and NegativeEntries bound how many domains memory holds: with a
	// policy, and without one.
	Entries, NegativeEntries int
	// RefreshInterval is the age at which a policy is fetched again although its id
	// has not changed, if its domain was looked up within Idle.
	RefreshInterval, Idle time.Duration
}

// Verdicts owns DANE's verdicts on a domain's next hops, which are saved with
// the domain's policy.
type Verdicts interface {
	// Stored returns the verdicts to save.
	Stored(mtasts.Domain) []store.Verdict
	// Restore gives back verdicts that were saved. Newer ones have precedence.
	Restore(mtasts.Domain, []store.Verdict)
}

// Options configure a Table. All fields except Metrics are required.
type Options struct {
	Clock    *clock.Clock
	Store    *store.Store
	Verdicts Verdicts
	Limits   Limits
	Metrics  prometheus.Registerer // nil: no metrics
	Logger   *slog.Logger
}

// Table has the states of all domains. It is safe for concurrent use.
type Table struct {
	clock    *clock.Clock
	store    *store.Store
	verdicts Verdicts
	logger   *slog.Logger
	limits   atomic.Pointer[Limits]
	metrics  *metrics

	policies  *window
	negatives *lru.Cache[mtasts.Domain, *negative]

	// added counts the policies that became current, plus 1. While it and the store's
	// Files are the same, a domain that the file lacked is still missing there.
	added atomic.Uint64
	// purges counts the purges of single domains, and purged has those of the latest ones.
	purges atomic.Uint64
	purged *lru.Cache[mtasts.Domain, purge]

	locks [lockCount]sync.Mutex // a domain's lock is the one of its hash
	seed  maphash.Seed

	watchMu sync.Mutex
	watched map[mtasts.Domain]*watched

	census census

	judging sync.Mutex   // held while policies are judged again
	judged  atomic.Int64 // steps of the wall clock by which all policies are judged
}

const lockCount = 64

// New returns a Table of the store's policies. It panics if a limit of entries is not
// positive; the configuration refuses that.
func New(o Options) *Table {
	t := &Table{clock: o.Clock, store: o.Store, verdicts: o.Verdicts, logger: o.Logger,
		seed: maphash.MakeSeed(), policies: newWindow(o.Limits.Entries), watched: map[mtasts.Domain]*watched{},
		census: census{wanted: make(chan struct{}, 1)}}
	t.limits.Store(&o.Limits)
	t.judged.Store(int64(o.Clock.Steps()))
	t.added.Store(1) // so that it is not the zero value of vacant
	var err error
	if t.negatives, err = lru.New[mtasts.Domain, *negative](o.Limits.NegativeEntries); err != nil {
		panic(err)
	}
	if t.purged, err = lru.New[mtasts.Domain, purge](maxPurged); err != nil {
		panic(err)
	}
	t.metrics = newMetrics(o.Metrics, t)
	return t
}

// Configure puts other limits in force.
func (t *Table) Configure(l Limits) {
	t.limits.Store(&l)
	t.policies.resize(l.Entries)
	t.negatives.Resize(l.NegativeEntries)
	t.saveEvicted()
}
