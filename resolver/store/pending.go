package store

import "mta-sts-daemon/resolver/mtasts"

// maxPending bounds the changes that wait in memory to be written, in bytes. They
// come near it only if the file cannot be written for long.
const maxPending = 64 << 20

// changeCost is the memory that a change takes without its policy's text, in bytes.
const changeCost = 512

// change is a Put or a Delete that the file does not have yet. It is immutable, so
// that two are the same change if they are at the same address.
type change struct {
	entry   Entry
	deleted bool
}

func (c *change) cost() int { return changeCost + len(c.entry.Policy.Text) }

// void reports whether a purge of that number removes c's entry.
func (c *change) void(purged uint64) bool { return !c.deleted && c.entry.Purges < purged }

// pending are the changes that the file does not have yet.
type pending struct {
	changes map[mtasts.Domain]*change
	cost    int
}

// fits reports whether there is room for c in place of the change of d that waits.
func (p *pending) fits(d mtasts.Domain, c *change) bool {
	cost := p.cost + c.cost()
	if old := p.changes[d]; old != nil {
		cost -= old.cost()
	}
	return cost <= maxPending
}

// add puts a change in place of the domain's one before, whether it fits or not.
func (p *pending) add(d mtasts.Domain, c *change) {
	p.remove(d)
	p.changes[d] = c
	p.cost += c.cost()
}

func (p *pending) remove(d mtasts.Domain) {
	if c := p.changes[d]; c != nil {
		p.cost -= c.cost()
		delete(p.changes, d)
	}
}

// take returns up to limit changes, which stay pending until settle.
func (p *pending) take(limit int) map[mtasts.Domain]*change {
	batch := make(map[mtasts.Domain]*change, min(limit, len(p.changes)))
	for d, c := range p.changes {
		if len(batch) == limit {
			break
		}
		batch[d] = c
	}
	return batch
}

// settle drops the changes that the file has now, except those that were
// overtaken meanwhile.
func (p *pending) settle(batch map[mtasts.Domain]*change) {
	for d, c := range batch {
		if p.changes[d] == c {
			p.remove(d)
		}
	}
}
