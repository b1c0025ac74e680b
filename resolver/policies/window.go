package policies

import (
	"sync"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"mta-sts-daemon/resolver/mtasts"
)

// window has the policies that are in memory: an LRU, and the entries that it has evicted
// until they are saved or loaded again. A domain's entry moves from one to the other under
// mu, so nobody who misses it in the first misses it in the second.
type window struct {
	mu      sync.RWMutex
	entries *simplelru.LRU[mtasts.Domain, *Entry]
	bytes   int64 // of entries, by Entry.bytes
	evicted map[mtasts.Domain]*Entry
}

// newWindow returns a window on so many entries. It panics if that is not positive.
func newWindow(size int) *window {
	w := &window{evicted: map[mtasts.Domain]*Entry{}}
	var err error
	if w.entries, err = simplelru.NewLRU(size, w.evict); err != nil {
		panic(err)
	}
	return w
}

// evict is called by the LRU for each entry that leaves it. mu is held.
func (w *window) evict(d mtasts.Domain, e *Entry) {
	w.bytes -= e.bytes()
	w.evicted[d] = e
}

// peek returns the domain's entry, nil without one.
func (w *window) peek(d mtasts.Domain) *Entry {
	w.mu.RLock()
	defer w.mu.RUnlock()
	e, _ := w.entries.Peek(d)
	return e
}

// use is peek, and makes the entry the last one to be evicted.
func (w *window) use(d mtasts.Domain) *Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	e, _ := w.entries.Get(d)
	return e
}

// bytesPerEntry is how much memory policies may take for each entry that there may
// be. A policy has a few hundred bytes; only an attacker publishes many of the 64
// KiB that each may have.
const bytesPerEntry = 2 << 10

// put makes e the domain's entry. If policies are uncommonly long, fewer than limit fit.
func (w *window) put(d mtasts.Domain, e *Entry, limit int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removeLocked(d) // so that the size of the one before is subtracted
	w.bytes += e.bytes()
	w.entries.Add(d, e)
	for w.bytes > int64(limit)*bytesPerEntry && w.entries.Len() > 1 {
		w.entries.RemoveOldest()
	}
}

// remove removes the domain's entry.
func (w *window) remove(d mtasts.Domain) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removeLocked(d)
}

func (w *window) removeLocked(d mtasts.Domain) {
	w.entries.Remove(d)
	delete(w.evicted, d) // the LRU calls evict here too
}

// takeEvicted removes the domain's evicted entry and returns it, nil without one.
func (w *window) takeEvicted(d mtasts.Domain) *Entry {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := w.evicted[d]
	delete(w.evicted, d)
	return e
}

// anyEvicted returns a domain with an evicted entry.
func (w *window) anyEvicted() (d mtasts.Domain, ok bool) {
	w.mu.RLock()
	defer w.mu.RUnlock()
	for d := range w.evicted {
		return d, true
	}
	return d, false
}

func (w *window) resize(size int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entries.Resize(size)
}

func (w *window) len() int {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.entries.Len()
}

// domains returns the domains of the entries.
func (w *window) domains() []mtasts.Domain {
	w.mu.RLock()
	defer w.mu.RUnlock()
	return w.entries.Keys()
}
