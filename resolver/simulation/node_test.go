package simulation

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/shared/sharedtest"
	"mta-sts-daemon/resolver/store"
)

// settings are those of a node that a reload may change.
type settings struct {
	policies.Limits
	Concurrency                int
	AnswerTimeout, RecheckWait time.Duration
	dane                       bool
}

// node is a daemon and the model's knowledge of it.
type node struct {
	w        *world
	number   int
	inMemory bool // no policy file
	path     string
	files    int
	settings settings

	r     *resolver.Resolver // nil while it is stopped
	st    *store.Store
	clock *clock.Clock     // of the store and the Resolver
	link  *sharedtest.Node // of this process; nil if nothing is shared
	reg   *prometheus.Registry

	reports *reports // of this process

	known map[mtasts.Domain]*knowledge

	// The process, and what changed its clocks and settings.
	life       int     // processes so far
	started    instant // of this process
	configured instant
	disturbed  instant // last suspend or step of a clock
	stepped    instant // last step of the wall clock in this boot, or the boot

	// Room: in memory, on the disk, and for changes that wait for the disk.
	evicting  instant // when memory last had too little for all domains: what only memory had may be lost
	full      bool    // the disk
	fullSince instant
	emptied   instant // when the disk last had room again
	queueFull bool    // the disk is, and the changes that wait are at their limit (BEHAVIOUR, life)

	// The DNS.
	trouble    instant // when a question last failed or was slow
	answered   instant // when a question was first answered since, and soon
	outageFrom instant // from then on the daemon must know of the outage; 0 without an outage
	questions  int     // since then
	pastOutage instant // outageFrom of the outage before the last change of the DNS

	// Policy hosts.
	failing instant // first fetch that failed, the DNS and load apart, since a certificate was accepted; 0: none
	localAt instant // when a fetch last failed for this host's own reasons
	noRoute bool    // a fetch since then failed for this host's own reasons

	// Load.
	looking                          int     // lookups under way
	refreshingFailed                 int     // refreshes under way of policies whose last one failed
	flooded                          int     // domains of floods looked up by this process
	strangersWaiting, silentWaiting  int     // lookups of them under way
	strangersAsked, strangersFetched int     // questions and fetches for them under way
	overloaded                       instant // when limits of load were last reached

	// What operators see of this process.
	fetches    int // that have ended
	downgrades int // at least
	events     map[event.Event]int
	changes    map[store.ChangeKind]int // in the history at the start

	lookups sync.WaitGroup
}

func newNode(w *world, number int, inMemory bool, s settings) *node {
	n := &node{w: w, number: number, inMemory: inMemory, settings: s, known: map[mtasts.Domain]*knowledge{}, emptied: -day}
	n.nextPath()
	return n
}

// violation notes that the node broke a rule.
func (n *node) violation(format string, args ...any) {
	if len(n.w.nodes) > 1 {
		format += fmt.Sprintf(" (node %d)", n.number)
	}
	n.w.violation(format, args...)
}

func (n *node) nextPath() {
	n.files++
	n.path = filepath.Join(n.w.dir, fmt.Sprintf("%d-%d", n.number, n.files), "policies.db")
}

// about returns the model's knowledge of a domain; it keeps none of floods'
// domains.
func (n *node) about(d mtasts.Domain) *knowledge {
	k := n.known[d]
	if k == nil && stranger(d) != "" {
		return newKnowledge(d)
	}
	if k == nil {
		k = newKnowledge(d)
		n.known[d] = k
	}
	return k
}

// start starts a process.
func (n *node) start() error {
	var err error
	switch {
	case !n.inMemory:
		n.clock = n.w.machine.Clock()
		n.st, err = store.Open(n.path, n.clock, slog.New(slog.DiscardHandler))
	case n.st == nil:
		n.clock = n.w.machine.Clock()
		n.st = store.OpenMemory(n.clock)
	}
	if err != nil {
		return err
	}
	n.reg = prometheus.NewRegistry()
	n.w.locked(func(now instant) {
		n.life++
		n.started, n.configured, n.trouble, n.outageFrom = now, now, now, 0
		n.fetches, n.downgrades, n.flooded, n.failing, n.noRoute, n.overloaded = 0, 0, 0, 0, false, -day
		n.events, n.changes = map[event.Event]int{}, n.history()
	})
	if n.reports, err = newReports(n); err != nil {
		return err
	}
	o := resolver.Options{Settings: n.resolverSettings(), Clock: n.clock, Store: n.st, Metrics: n.reg, Logger: slog.New(journal{n})}
	if n.w.shared != nil {
		n.link = n.w.shared.Join()
		n.w.shared.Set(func(h *sharedtest.Store) {
			n.link.Purges, n.link.Notified = n.st, func(c shared.Change) { n.notified(c) }
			h.Repeat(n.link)
		})
		o.Shared = sharedLink{n.link, n}
	}
	n.r = resolver.New(o)
	return nil
}

func (n *node) resolverSettings() resolver.Settings {
	s := resolver.Settings{TXT: n, MX: n, Policies: n, Probe: n, AnswerTimeout: n.settings.AnswerTimeout,
		RecheckWait: n.settings.RecheckWait, Limits: n.settings.Limits, Concurrency: n.settings.Concurrency}
	if n.settings.dane {
		s.DANE = n
	}
	return s
}

func (n *node) configure(s settings) {
	n.w.locked(func(now instant) { n.settings, n.configured = s, now; n.noteEvictions(now) })
	n.r.Configure(n.resolverSettings())
}

// stop ends the process in order.
func (n *node) stop() error {
	n.w.locked(func(now instant) {
		unsure := now
		if n.full {
			unsure = n.fullSince - stored
		}
		n.forget(unsure, now)
	})
	if n.link != nil {
		n.link.Leave()
	}
	n.r.Close()
	n.lookups.Wait()
	n.reports.close()
	n.r = nil
	if n.inMemory {
		return nil
	}
	if err := n.st.Close(); err != nil && !n.full {
		return err
	}
	return n.emptyDisk()
}
