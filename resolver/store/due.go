package store

import (
	"bytes"
	"cmp"
	"slices"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// dueChunk is how many entries Due looks at first; it doubles up to allChunk.
const dueChunk = 16

// Due yields the entries whose Next is not after now, the earliest first: those
// with Failures, or those without. Entries are read as they are wanted, so that
// the cost depends on how many are taken, and a slow consumer delays nobody. One
// that is put or deleted meanwhile may be missed or seen as it was.
//
// The index has the wall clock's times. While that clock is slewed, or while the
// writer stamps again after a step, an entry may come late, but never early.
func (s *Store) Due(now clock.Moment, failing bool, yield func(Entry) bool) {
	changes, f := s.snapshot()
	var waiting []Entry
	for _, c := range changes {
		if !c.deleted && c.entry.due(now, failing) {
			waiting = append(waiting, s.present(c.entry))
		}
	}
	slices.SortFunc(waiting, func(a, b Entry) int {
		return cmp.Or(cmp.Compare(a.Next, b.Next), cmp.Compare(a.Domain.String(), b.Domain.String()))
	})
	var from []byte
	for limit := dueChunk; ; limit = min(2*limit, allChunk) {
		var chunk []Entry
		f = s.viewCurrent(f, func(t tables) error {
			var sound bool
			if chunk, from, sound = t.due(now, failing, from, limit, changes); !sound {
				s.wantRepair()
			}
			return nil
		})
		for _, e := range chunk {
			for len(waiting) > 0 && waiting[0].Next <= e.Next {
				if !yield(waiting[0]) {
					return
				}
				waiting = waiting[1:]
			}
			if !yield(e) {
				return
			}
		}
		if f == nil || from == nil {
			break
		}
	}
	for _, e := range waiting {
		if !yield(e) {
			return
		}
	}
}

// due looks at up to limit index keys from one on. It returns the entries that are
// due, except those with changes, and the key to go on from, nil at the end. sound
// is false if the index has keys that do not fit.
func (t tables) due(now clock.Moment, failing bool, from []byte, limit int, changes map[mtasts.Domain]*change) (chunk []Entry, next []byte, sound bool) {
	sound = true
	wall := t.now.wall(now, false)
	c := t.index(failing).Cursor()
	for k, _ := c.Seek(from); k != nil; k, _ = c.Next() {
		at, d, ok := parseIndexKey(k)
		if ok && at > wall {
			break
		}
		if limit--; limit < 0 {
			return chunk, bytes.Clone(k), sound
		}
		if ok && changes[d] != nil {
			continue
		}
		e, ok := t.indexed(at, d, failing)
		switch {
		case !ok:
			sound = false
		case e.Purges >= t.purged && e.Next <= now:
			chunk = append(chunk, e)
		}
	}
	return chunk, nil, sound
}
