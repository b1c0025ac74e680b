package resolvertest

import (
	"context"
	"errors"
	"sync"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
)

// ErrShared is why a SharedStore that fails has not purged anything.
var ErrShared = errors.New("no answer in time")

// SharedStore is a shared store in memory: what package shared does with a real one. Its
// exported fields are changed within Set.
type SharedStore struct {
	mu     sync.Mutex
	all    shared.Value // the purge of everything
	number uint64       // of the last purge
	nodes  []*SharedNode

	Values map[mtasts.Domain]shared.Value
	Leases map[mtasts.Domain]time.Time
	// Fault is why the store cannot be used; nil while it can.
	Fault error
	// Silent: no node is notified of changes.
	Silent bool
}

// SharedNode is one node's way to a SharedStore.
type SharedNode struct {
	*SharedStore
	changes chan shared.Change
	// Away: this node cannot reach the store.
	Away bool
	// Purges has the number of the last purge that the node has seen; it may be nil.
	Purges shared.Purges
	// Notified, unless nil, is called with each change before the node gets it.
	Notified func(shared.Change)
}

// NewSharedStore returns an empty SharedStore.
func NewSharedStore() *SharedStore {
	h := &SharedStore{}
	h.Lose()
	return h
}

// Lose lets the store lose everything. It is called within Set.
func (h *SharedStore) Lose() {
	h.Values, h.Leases, h.all, h.number = map[mtasts.Domain]shared.Value{}, map[mtasts.Domain]time.Time{}, shared.Value{}, 0
}

// Join returns another node's way to the store.
func (h *SharedStore) Join() *SharedNode {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := &SharedNode{SharedStore: h, changes: make(chan shared.Change, 10_000)}
	h.nodes = append(h.nodes, n)
	return n
}

// Leave ends a node's process: it gets no more changes.
func (n *SharedNode) Leave() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, other := range n.nodes {
		if other == n {
			n.nodes = append(n.nodes[:i:i], n.nodes[i+1:]...)
			return
		}
	}
}

// Set changes the store, or nodes.
func (h *SharedStore) Set(change func(*SharedStore)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// Notify sends a change to all nodes. It is called within Set.
func (h *SharedStore) Notify(c shared.Change) {
	for _, n := range h.nodes {
		if h.Silent || n.Away {
			continue
		}
		if n.Notified != nil {
			n.Notified(c)
		}
		n.see(c.Value)
		n.changes <- c
	}
}

// see raises the node's number of the last purge to that of a value that it gets.
func (n *SharedNode) see(v shared.Value) {
	if n.Purges == nil {
		return
	}
	n.Purges.RaisePurges(v.Number)
	if v.Entry != nil {
		n.Purges.RaisePurges(v.Entry.Purges)
	}
}

// fault is why this node cannot use the store.
func (n *SharedNode) fault() error {
	if n.Fault == nil && n.Away {
		return ErrShared
	}
	return n.Fault
}

// Get implements resolver.SharedStore.
func (n *SharedNode) Get(_ context.Context, d mtasts.Domain) shared.Value {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault() != nil {
		return shared.Value{}
	}
	v := n.Values[d]
	if n.all.Number > v.Number {
		v.Purged, v.Number = n.all.Purged, n.all.Number
	}
	n.see(v)
	if v.Entry != nil && (v.Voids(v.Entry.Fetched, v.Entry.Purges) || !time.Now().Before(v.Entry.Ends())) {
		v.Entry = nil
	}
	return v
}

// Put implements resolver.SharedStore.
func (n *SharedNode) Put(d mtasts.Domain, e shared.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault() != nil {
		return
	}
	v := shared.Value{Entry: &e}
	if e.Policy.MaxAge == 0 {
		v = shared.Value{Purged: e.Fetched}
	}
	n.Values[d] = v
	n.Notify(shared.Change{Domain: d, Value: v})
}

// Lease implements resolver.SharedStore.
func (n *SharedNode) Lease(_ context.Context, d mtasts.Domain) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault() == nil && time.Now().Before(n.Leases[d]) {
		return false
	}
	n.Leases[d] = time.Now().Add(shared.LeaseLife)
	return true
}

// Purge implements resolver.SharedStore.
func (n *SharedNode) Purge(_ context.Context, d mtasts.Domain) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.fault(); err != nil {
		return 0, err
	}
	n.Values[d] = n.purge()
	n.Notify(shared.Change{Domain: d, Value: n.Values[d]})
	return n.number, nil
}

// PurgeAll implements resolver.SharedStore.
func (n *SharedNode) PurgeAll(context.Context) (uint64, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := n.fault(); err != nil {
		return 0, err
	}
	n.all = n.purge()
	n.Notify(shared.Change{Value: n.all})
	return n.number, nil
}

// purge returns the next purge. A number that the store has lost comes back from the nodes.
func (n *SharedNode) purge() shared.Value {
	if n.Purges != nil {
		n.number = max(n.number, n.Purges.Purges())
	}
	n.number++
	return shared.Value{Purged: time.Now().Truncate(time.Second), Number: n.number}
}

// Changes implements resolver.SharedStore.
func (n *SharedNode) Changes() <-chan shared.Change { return n.changes }
