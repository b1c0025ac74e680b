package store

import "bytes"

// allChunk is how many entries All reads at a time, so that a slow consumer
// holds up nobody.
const allChunk = 256

// All yields every entry once, in no order. One that is put or deleted
// meanwhile may be missed or seen as it was.
func (s *Store) All(yield func(Entry) bool) {
	changes, f := s.snapshot()
	var from []byte
	for more := true; more; {
		var chunk []Entry
		more = s.view(f, func(t tables) error {
			var sound bool
			if chunk, from, sound = t.chunk(from); !sound {
				s.wantRepair()
			}
			return nil
		}) && from != nil
		for _, e := range chunk {
			c := changes[e.Domain]
			if c != nil {
				delete(changes, e.Domain)
				e = c.entry
			}
			if (c == nil || !c.deleted) && !yield(e) {
				return
			}
		}
	}
	for _, c := range changes {
		if !c.deleted && !yield(c.entry) {
			return
		}
	}
}

// chunk returns the next entries from a key on and the key to go on from, nil
// at the end. sound is false where damaged entries were left out.
func (t tables) chunk(from []byte) (chunk []Entry, next []byte, sound bool) {
	sound = true
	c := t.entries().Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if len(chunk) == allChunk {
			return chunk, bytes.Clone(k), sound
		}
		d, ok := parseKey(k)
		e, err := decode(d, v)
		if !ok || err != nil {
			sound = false
			continue
		}
		chunk = append(chunk, e)
	}
	return chunk, nil, sound
}

// Len returns how many entries there are, without counting them.
func (s *Store) Len() int {
	changes, f := s.snapshot()
	n := 0
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
