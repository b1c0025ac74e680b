package store

import (
	"bytes"
	"cmp"
	"iter"
	"slices"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// All and Due look at so many keys in one transaction, so that a slow consumer delays
// nobody. Due begins with few, because its consumer often stops early, and doubles.
const (
	maxChunk = 256
	minChunk = 16
)

// All yields every entry once, in no order. One that is put or deleted meanwhile
// may be missed or seen as it was.
func (s *Store) All(yield func(Entry) bool) {
	changes, f := s.snapshot()
	for e := range s.chunks(f, maxChunk, tables.chunk) {
		if changes[e.Domain] == nil && !yield(e) {
			return
		}
	}
	for _, c := range changes {
		if !c.deleted && !yield(s.present(c.entry)) {
			return
		}
	}
}

// Survey yields what All does, slowly: it takes a quarter of one processor. It reports
// false if stop was closed before the end.
func (s *Store) Survey(stop <-chan struct{}, yield func(Entry)) (complete bool) {
	p := newPace(stop)
	complete = true
	s.All(func(e Entry) bool {
		complete = p.step() == nil
		if complete {
			yield(e)
		}
		return complete
	})
	return complete
}

// Due yields the entries whose Next is not after now, the earliest first: those
// with Failures, or those without. Entries are read as they are wanted, so that
// the cost depends on how many are taken, and a slow consumer delays nobody. One
// that is put or deleted meanwhile may be missed or seen as it was.
//
// The index has the wall clock's times. If that clock is set several times before the writer
// has stamped everything again, an entry may come late, but never early.
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
	stored := s.chunks(f, minChunk, func(t tables, chunk []Entry, from []byte, limit int) ([]Entry, []byte) {
		return t.due(chunk, now, failing, from, limit, changes)
	})
	for e := range stored {
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
	for _, e := range waiting {
		if !yield(e) {
			return
		}
	}
}

// Len returns how many entries there are. It counts them only while void ones are
// being removed from the file.
func (s *Store) Len() (n int) {
	s.mu.Lock()
	sweeping := s.sweeping
	s.mu.Unlock()
	if sweeping {
		for range s.All {
			n++
		}
		return n
	}
	changes, f := s.snapshot()
	read := s.view(f, func(t tables) {
		n = int(number(t.meta(), countKey))
		for d := range changes {
			if t.entries().Get([]byte(d.String())) != nil {
				n--
			}
		}
	})
	if !read {
		n = 0
	}
	for _, c := range changes {
		if !c.deleted {
			n++
		}
	}
	return n
}

// chunks yields what read returns of the file, or of the file that takes its place
// meanwhile. read looks at up to limit keys from one on and appends to chunk. It also
// returns the key to go on from, nil at the end.
func (s *Store) chunks(f *file, limit int, read func(t tables, chunk []Entry, from []byte, limit int) ([]Entry, []byte)) iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		var chunk []Entry
		for from := []byte{}; from != nil; limit = min(2*limit, maxChunk) {
			f = s.viewCurrent(f, func(t tables) { chunk, from = read(t, chunk[:0], from, limit) })
			for _, e := range chunk {
				if !yield(e) {
					return
				}
			}
			if f == nil {
				return
			}
		}
	}
}

// chunk appends the entries from a key on that are neither void nor corrupt; see
// Store.chunks.
func (t tables) chunk(chunk []Entry, from []byte, limit int) (_ []Entry, next []byte) {
	c := t.entries().Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if limit--; limit < 0 {
			return chunk, bytes.Clone(k)
		}
		d, ok := parseKey(k)
		e, err := decode(d, v, t.now)
		switch {
		case !ok || err != nil:
			t.corrupt()
		case e.Purges >= t.purged:
			chunk = append(chunk, e)
		}
	}
	return chunk, nil
}

// due appends the entries from an index key on that are due, except those with
// changes; see Store.chunks.
func (t tables) due(chunk []Entry, now clock.Moment, failing bool, from []byte, limit int, changes map[mtasts.Domain]*change) (_ []Entry, next []byte) {
	wall := t.now.wall(now, false) + t.ahead
	c := t.index(failing).Cursor()
	for k, _ := c.Seek(from); k != nil; k, _ = c.Next() {
		at, d, ok := parseIndexKey(k)
		if ok && at > wall {
			break
		}
		if limit--; limit < 0 {
			return chunk, bytes.Clone(k)
		}
		if ok && changes[d] != nil {
			continue
		}
		e, ok := t.indexed(at, d, failing)
		switch {
		case !ok:
			t.corrupt()
		case e.Purges >= t.purged && e.Next <= now:
			chunk = append(chunk, e)
		}
	}
	return chunk, nil
}
