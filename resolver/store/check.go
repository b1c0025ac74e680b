package store

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"
)

var errStopped = errors.New("stopped before the check was done")

// check looks through a whole file that was just opened, in the background: first
// at its pages, any fault of which costs the whole file, then for corrupt entries,
// which are removed alone. It also finds out whether the file is worth compacting.
func (s *Store) check(f *file) {
	var found findings
	var wasteful bool
	err := f.view(func(tx *bolt.Tx) error {
		free, err := f.checkPages(tx, s.quit)
		if err != nil {
			return err
		}
		size := tx.Size()
		wasteful = size > s.sizes.compacted && 2*free > size
		found, err = s.tables(f, tx).inspect(s.quit)
		return err
	})
	if err == nil && !found.clean() {
		s.wantRepair()
	}
	if err == nil && wasteful && f.unwritable == nil {
		s.compact.Store(true)
		s.wakeWriter()
	}
	s.drop(f, err)
}

// findings are the faults of the entries and their indexes.
type findings struct {
	count   uint64   // entries that are sound
	corrupt [][]byte // keys of those that are not
	lacking []string // keys of sound entries that their index lacks
	stray   []stray
	wrong   bool // the count that the file has
}

// stray is an index key without an entry of that Next in that index.
type stray struct {
	key     []byte
	failing bool
}

func (f findings) clean() bool {
	return len(f.corrupt)+len(f.lacking)+len(f.stray) == 0 && !f.wrong
}

// inspect reads every entry and every index key. It ends early, with errStopped,
// when stop is closed.
func (t tables) inspect(stop <-chan struct{}) (findings, error) {
	var found findings
	placed := map[bool]int{} // entries that an index has as it should
	err := t.entries().ForEach(func(k, v []byte) error {
		if stopped(stop) {
			return errStopped
		}
		d, ok := parseKey(k)
		h, err := readHeader(string(k), v)
		if err == nil {
			_, err = h.decode(d, v, t.now)
		}
		if !ok || err != nil {
			found.corrupt = append(found.corrupt, bytes.Clone(k))
			return nil
		}
		found.count++
		switch place, failing := h.place(string(k)); {
		case place == nil:
		case t.index(failing).Get(place) == nil:
			found.lacking = append(found.lacking, string(k))
		default:
			placed[failing]++
		}
		return nil
	})
	if err != nil {
		return findings{}, err
	}
	found.wrong = number(t.meta(), countKey) != found.count
	for _, failing := range []bool{false, true} {
		strays, err := t.strays(failing, placed[failing], stop)
		if err != nil {
			return findings{}, err
		}
		found.stray = append(found.stray, strays...)
	}
	return found, nil
}

// strays returns the index keys that are not among those placed. It looks for them
// one by one only if the index has more.
func (t tables) strays(failing bool, placed int, stop <-chan struct{}) (found []stray, err error) {
	keys := 0
	err = t.index(failing).ForEach(func(_, _ []byte) error {
		keys++
		return nil
	})
	if err != nil || keys == placed {
		return nil, err
	}
	err = t.index(failing).ForEach(func(k, _ []byte) error {
		if stopped(stop) {
			return errStopped
		}
		next, d, ok := parseIndexKey(k)
		if ok {
			_, ok = t.indexed(next, d, failing)
		}
		if !ok {
			found = append(found, stray{bytes.Clone(k), failing})
		}
		return nil
	})
	return found, err
}

// repair removes corrupt entries and makes indexes and count fit the rest. lost is
// how many entries it removed.
func (t tables) repair(stop <-chan struct{}) (lost int, err error) {
	found, err := t.inspect(stop)
	if err != nil {
		return 0, err
	}
	for _, k := range found.corrupt {
		if err := t.entries().Delete(k); err != nil {
			return 0, err
		}
	}
	for _, s := range found.stray {
		if err := t.index(s.failing).Delete(s.key); err != nil {
			return 0, err
		}
	}
	for _, key := range found.lacking {
		h, err := readHeader(key, t.entries().Get([]byte(key)))
		if err != nil {
			return 0, err
		}
		if err := t.enter(h, key); err != nil {
			return 0, err
		}
	}
	return len(found.corrupt), putNumber(t.meta(), countKey, found.count)
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
