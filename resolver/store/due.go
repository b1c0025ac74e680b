package store

import (
	"cmp"
	"slices"
	"time"
)

// Due returns up to limit entries whose Next is not after now, the earliest
// first. What it costs depends on how many are due, not on how many there are.
func (s *Store) Due(now time.Time, limit int) []Entry {
	changes, f := s.snapshot()
	var due []Entry
	for _, c := range changes {
		if c.entry.due(now) {
			due = append(due, c.entry)
		}
	}
	s.view(f, func(t tables) error {
		c := t.index().Cursor()
		room := limit
		for k, _ := c.First(); k != nil && room > 0; k, _ = c.Next() {
			next, d, ok := parseIndexKey(k)
			if ok && next.After(now) {
				break
			}
			if ok && changes[d] != nil {
				continue
			}
			e, there, _ := t.get(d)
			if !ok || !there || !e.Next.Equal(next) {
				s.wantRepair()
				continue
			}
			due = append(due, e)
			room--
		}
		return nil
	})
	slices.SortFunc(due, func(a, b Entry) int {
		return cmp.Or(a.Next.Compare(b.Next), cmp.Compare(a.Domain.String(), b.Domain.String()))
	})
	return due[:min(limit, len(due))]
}

// NextDue returns the earliest Next of all entries; ok is false where none has
// one.
func (s *Store) NextDue() (next time.Time, ok bool) {
	changes, f := s.snapshot()
	earlier := func(t time.Time) {
		if !ok || t.Before(next) {
			next, ok = t, true
		}
	}
	for _, c := range changes {
		if !c.entry.Next.IsZero() {
			earlier(c.entry.Next)
		}
	}
	s.view(f, func(t tables) error {
		c := t.index().Cursor()
		for k, _ := c.First(); k != nil; k, _ = c.Next() {
			at, d, ok := parseIndexKey(k)
			if !ok {
				s.wantRepair()
				continue
			}
			if changes[d] == nil {
				earlier(at)
				break
			}
		}
		return nil
	})
	return next, ok
}
