// Package sharedtest has a shared store in memory, for tests.
package sharedtest

import (
	"context"
	"errors"
	"sync"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared"
)

// ErrDown is why a Store that fails has not purged anything.
var ErrDown = errors.New("no answer in time")

// Store is a shared store in memory: what package shared does with a real one. Its
// exported fields are changed within Set.
type Store struct {
	mu     sync.Mutex
	all    shared.Value // the purge of everything
	number uint64       // of the last purge
	nodes  []*Node

	Values map[mtasts.Domain]shared.Value
	Leases map[mtasts.Domain]time.Time
	// Fault is why the store cannot be used; nil while it can.
	Fault error
	// Silent: no node is notified of changes.
	Silent bool
	// Wall reads the nodes' wall clock: time.Now, unless set.
	Wall func() time.Time
}

// Node is one node's way to a Store.
type Node struct {
	*Store
	changes chan shared.Change
	// Away: this node cannot reach the store.
	Away bool
	// Purges has the number of the last purge that the node has seen; it may be nil.
	Purges shared.Purges
	// Notified, unless nil, is called with each change before the node gets it.
	Notified func(shared.Change)
}

// NewStore returns an empty Store.
func NewStore() *Store {
	h := &Store{Wall: time.Now}
	h.Lose()
	return h
}

// Lose lets the store lose everything. It is called within Set.
func (h *Store) Lose() {
	h.Values, h.Leases, h.all, h.number = map[mtasts.Domain]shared.Value{}, map[mtasts.Domain]time.Time{}, shared.Value{}, 0
}

// Join returns another node's way to the store.
func (h *Store) Join() *Node {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := &Node{Store: h, changes: make(chan shared.Change, 10_000)}
	h.nodes = append(h.nodes, n)
	return n
}

// Leave ends a node's process: it gets no more changes.
func (n *Node) Leave() {
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
func (h *Store) Set(change func(*Store)) {
	h.mu.Lock()
	defer h.mu.Unlock()
	change(h)
}

// Notify sends a change to all nodes. It is called within Set.
func (h *Store) Notify(c shared.Change) {
	for _, n := range h.nodes {
		if !h.Silent && !n.Away && !h.ahead(c.Value) {
			n.take(c)
		}
	}
}

// Repeat sends the last purge of everything, if there was one, to a node again, as a client
// does when it starts. It is called within Set.
func (h *Store) Repeat(n *Node) {
	if h.all.Number > 0 && n.fault() == nil {
		n.take(shared.Change{Value: h.all})
	}
}

func (n *Node) take(c shared.Change) {
	if n.Notified != nil {
		n.Notified(c)
	}
	n.see(c.Value)
	n.changes <- c
}

// ahead reports whether a value has a policy of the future, which nodes do not read.
func (h *Store) ahead(v shared.Value) bool {
	return v.Entry != nil && v.Entry.Fetched.After(h.Wall().Add(shared.MaxAhead))
}

// see raises the node's number of the last purge to that of a value that it gets.
func (n *Node) see(v shared.Value) {
	if n.Purges == nil {
		return
	}
	n.Purges.RaisePurges(v.Number)
	if v.Entry != nil {
		n.Purges.RaisePurges(v.Entry.Purges)
	}
}

// fault is why this node cannot use the store.
func (n *Node) fault() error {
	if n.Fault == nil && n.Away {
		return ErrDown
	}
	return n.Fault
}

// Get implements resolver.SharedStore.
func (n *Node) Get(_ context.Context, d mtasts.Domain) shared.Value {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault() != nil {
		return shared.Value{}
	}
	v := n.Values[d]
	if n.ahead(v) {
		v = shared.Value{}
	}
	if n.all.Number > v.Number {
		v.Purged, v.Number = n.all.Purged, n.all.Number
	}
	n.see(v)
	if v.Entry != nil && (v.Voids(v.Entry.Fetched, v.Entry.Purges) || !n.Wall().Before(v.Entry.Ends())) {
		v.Entry = nil
	}
	return v
}

// Put implements resolver.SharedStore.
func (n *Node) Put(d mtasts.Domain, e shared.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault() != nil {
		return
	}
	v := shared.Value{Entry: &e}
	if e.Policy.MaxAge == 0 {
		v = shared.Value{Purged: e.Fetched}
	}
	if n.keeps(n.Values[d], e) {
		return
	}
	n.Values[d] = v
	n.Notify(shared.Change{Domain: d, Value: v})
}

// keeps reports whether the store keeps the old value in place of a policy, because it knows of a
// later purge or was fetched later.
func (h *Store) keeps(old shared.Value, e shared.Entry) bool {
	number, at := old.Number, old.Purged
	if old.Entry != nil {
		number, at = old.Entry.Purges, old.Entry.Fetched
	}
	return !h.ahead(old) && (number > e.Purges || number == e.Purges && old.Number == 0 && at.After(e.Fetched))
}

// Lease implements resolver.SharedStore.
func (n *Node) Lease(_ context.Context, d mtasts.Domain) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fault() == nil && time.Now().Before(n.Leases[d]) {
		return false
	}
	n.Leases[d] = time.Now().Add(shared.LeaseLife)
	return true
}

// Purge implements resolver.SharedStore.
func (n *Node) Purge(_ context.Context, d mtasts.Domain) (uint64, error) {
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
func (n *Node) PurgeAll(context.Context) (uint64, error) {
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
func (n *Node) purge() shared.Value {
	if n.Purges != nil {
		n.number = max(n.number, n.Purges.Purges())
	}
	n.number++
	return shared.Value{Purged: n.Wall().Truncate(time.Second), Number: n.number}
}

// Changes implements resolver.SharedStore.
func (n *Node) Changes() <-chan shared.Change { return n.changes }
