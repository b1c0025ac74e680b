package store

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"
)

var errStopped = errors.New("stopped before the check was done")

// check reads a whole file that was just opened, in the background: first its pages,
// any fault of which makes the whole file corrupt, then its entries, of which corrupt
// ones are removed alone. It also finds out whether the file is worth compacting.
func (s *Store) check(f *file) {
	var found faults
	var wasteful bool
	err := f.view(func(tx *bolt.Tx) error {
		free, err := f.checkPages(tx, s.quit)
		if err != nil {
			return err
		}
		wasteful = tx.Size() > s.sizes.compacted && 2*free > tx.Size()
		found, err = s.tables(f, tx).inspect(s.quit)
		return err
	})
	if err == nil && found.any() {
		s.wantRepair()
	}
	if err == nil && wasteful && f.unwritable == nil {
		s.compact.Store(true)
		s.wakeWriter()
	}
	s.drop(f, err)
}

// faults are the faults of the entries and their indexes.
type faults struct {
	sound      uint64   // how many entries are sound
	corrupt    [][]byte // keys of those that are not
	unindexed  []string // keys of sound entries that their index lacks
	strays     bool     // an index has keys that fit no entry
	wrongCount bool     // the file's count is not sound
}

func (f faults) any() bool {
	return len(f.corrupt)+len(f.unindexed) > 0 || f.strays || f.wrongCount
}

// inspect reads every entry and counts the index keys of a transaction that has
// changed nothing. It returns errStopped when
// stop is closed.
func (t tables) inspect(stop <-chan struct{}) (found faults, err error) {
	places := 0 // entries that should have an index key and have it
	err = t.entries().ForEach(func(k, v []byte) error {
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
		found.sound++
		switch place, failing := h.place(string(k)); {
		case place == nil:
		case t.index(failing).Get(place) == nil:
			found.unindexed = append(found.unindexed, string(k))
		default:
			places++
		}
		return nil
	})
	if err != nil {
		return faults{}, err
	}
	keys := t.index(false).Stats().KeyN + t.index(true).Stats().KeyN
	found.strays = keys > places
	found.wrongCount = number(t.meta(), countKey) != found.sound
	return found, nil
}

// repair removes corrupt entries and makes indexes and count fit the rest. Nothing
// may have been changed in the transaction before. lost is how many entries it removed.
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
	if found.strays {
		if err := errors.Join(t.removeStrays(false), t.removeStrays(true)); err != nil {
			return 0, err
		}
	}
	for _, key := range found.unindexed {
		h, err := readHeader(key, t.entries().Get([]byte(key)))
		if err != nil {
			return 0, err
		}
		if err := t.enter(h, key); err != nil {
			return 0, err
		}
	}
	return len(found.corrupt), putNumber(t.meta(), countKey, found.sound)
}

// removeStrays removes the keys of an index that fit no entry.
func (t tables) removeStrays(failing bool) error {
	var strays [][]byte
	err := t.index(failing).ForEach(func(k, _ []byte) error {
		next, d, ok := parseIndexKey(k)
		if ok {
			_, ok = t.indexed(next, d, failing)
		}
		if !ok {
			strays = append(strays, bytes.Clone(k))
		}
		return nil
	})
	for _, k := range strays {
		err = errors.Join(err, t.index(failing).Delete(k))
	}
	return err
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
