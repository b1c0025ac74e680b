package resolver

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
)

// hub is a fleet's store in memory: what package shared does with a real one.
type hub struct {
	mu     sync.Mutex
	values map[mtasts.Domain]shared.Value
	all    shared.Value // the purge of everything
	number uint64       // of the last purge
	leases map[mtasts.Domain]time.Time
	nodes  []chan shared.Change
	// fault is why it cannot be used; nil while it can.
	fault error
	// silent has nobody told.
	silent bool
}

func newHub() *hub {
	return &hub{values: map[mtasts.Domain]shared.Value{}, leases: map[mtasts.Domain]time.Time{}}
}

var errHubDown = errors.New("no answer in time")

// node is one Resolver's way to the hub.
type node struct {
	*hub
	changes chan shared.Change
}

// join returns a Resolver of the fleet.
func (w *world) join(h *hub) *Resolver {
	return w.resolverIn(h.node(), w.memory())
}

func (h *hub) node() node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := node{h, make(chan shared.Change, 100)}
	h.nodes = append(h.nodes, n.changes)
	return n
}

func (h *hub) set(change func(*hub)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

func (h *hub) tell(c shared.Change) {
	for _, n := range h.nodes {
		if !h.silent {
			n <- c
		}
	}
}

func (h *hub) Get(_ context.Context, d mtasts.Domain) shared.Value {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil {
		return shared.Value{}
	}
	v := h.values[d]
	if h.all.Number > v.Number {
		v.Purged, v.Number = h.all.Purged, h.all.Number
	}
	if v.Entry != nil && (v.Voids(v.Entry.Fetched, v.Entry.Purges) || !time.Now().Before(v.Entry.Ends())) {
		v.Entry = nil
	}
	return v
}

func (h *hub) Put(d mtasts.Domain, e shared.Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil {
		return
	}
	v := shared.Value{Entry: &e}
	if e.Policy.MaxAge == 0 {
		v = shared.Value{Purged: e.Fetched}
	}
	h.values[d] = v
	h.tell(shared.Change{Domain: d, Value: v})
}

func (h *hub) Lease(_ context.Context, d mtasts.Domain) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault == nil && time.Now().Before(h.leases[d]) {
		return false
	}
	h.leases[d] = time.Now().Add(shared.LeaseLife)
	return true
}

func (h *hub) Purge(ctx context.Context, d mtasts.Domain) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil {
		return 0, h.fault
	}
	h.number++
	h.values[d] = shared.Value{Purged: time.Now().Truncate(time.Second), Number: h.number}
	h.tell(shared.Change{Domain: d, Value: h.values[d]})
	return h.number, nil
}

func (h *hub) PurgeAll(context.Context) (uint64, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fault != nil {
		return 0, h.fault
	}
	h.number++
	h.all = shared.Value{Purged: time.Now().Truncate(time.Second), Number: h.number}
	h.tell(shared.Change{Value: h.all})
	return h.number, nil
}

func (n node) Changes() <-chan shared.Change { return n.changes }

// expectKnown holds what a node knows without a lookup against want: mode and
// id, "-" for that there is no policy, "" for nothing.
func expectKnown(t *testing.T, r *Resolver, domain, want string) {
	t.Helper()
	got := ""
	if k, ok := r.Known(hop(t, domain).Domain); ok && k.Policy == nil {
		got = "-"
	} else if ok {
		got = k.Policy.Mode.String() + "/" + k.ID
	}
	if got != want {
		t.Errorf("%s: %q is known, want %q", domain, got, want)
	}
}
