package store

import "bytes"

// allChunk is how many entries All looks at in one transaction, so that a slow consumer
// delays nobody.
const allChunk = 256

// All yields every entry once, in no order. One that is put or deleted meanwhile
// may be missed or seen as it was.
func (s *Store) All(yield func(Entry) bool) {
	changes, f := s.snapshot()
	var from []byte
	for {
		var chunk []Entry
		f = s.viewCurrent(f, func(t tables) error {
			var sound bool
			if chunk, from, sound = t.chunk(from); !sound {
				s.wantRepair()
			}
			return nil
		})
		for _, e := range chunk {
			if changes[e.Domain] == nil && !yield(e) {
				return
			}
		}
		if f == nil || from == nil {
			break
		}
	}
	for _, c := range changes {
		if !c.deleted && !yield(s.present(c.entry)) {
			return
		}
	}
}

// chunk looks at the next entries from a key on. It returns those that are not
// void and the key to go on from, nil at the end. allSound is false if corrupt
// entries were left out.
func (t tables) chunk(from []byte) (chunk []Entry, next []byte, allSound bool) {
	sound, limit := true, allChunk
	c := t.entries().Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if limit--; limit < 0 {
			return chunk, bytes.Clone(k), sound
		}
		d, ok := parseKey(k)
		e, err := decode(d, v, t.now)
		switch {
		case !ok || err != nil:
			sound = false
		case e.Purges >= t.purged:
			chunk = append(chunk, e)
		}
	}
	return chunk, nil, sound
}

// Len returns how many entries there are. It counts them only while void ones are
// being removed from the file.
func (s *Store) Len() int {
	n := 0
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
	read := s.view(f, func(t tables) error {
		n = int(number(t.meta(), countKey))
		for d, c := range changes {
			switch there := t.entries().Get([]byte(d.String())) != nil; {
			case there && c.deleted:
				n--
			case !there && !c.deleted:
				n++
			}
		}
		return nil
	})
	if read {
		return n
	}
	n = 0
	for _, c := range changes {
		if !c.deleted {
			n++
		}
	}
	return n
}
