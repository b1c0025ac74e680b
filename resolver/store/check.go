package store

import (
	"bytes"
	"errors"

	bolt "go.etcd.io/bbolt"
)

var errStopped = errors.New("stopped before the check was done")

// check looks through a whole file that was just opened, in the background:
// first at its pages, any fault of which costs the whole file, then for entries
// that decayed, which are removed alone.
func (s *Store) check(f *file) {
	var found findings
	err := f.view(func(tx *bolt.Tx) error {
		if err := f.checkPages(tx, s.quit); err != nil {
			return err
		}
		var err error
		found, err = tables{tx}.inspect(s.quit)
		return err
	})
	if err == nil && !found.clean() {
		s.wantRepair()
	}
	s.spoil(f, err)
}

// findings are what is wrong with the entries and their index.
type findings struct {
	count   uint64   // entries that are sound
	decayed [][]byte // keys of those that are not
	lacking []Entry  // sound entries that the index lacks
	stray   [][]byte // index keys without an entry of that Next
	wrong   bool     // the count that the file has
}

func (f findings) clean() bool {
	return len(f.decayed)+len(f.lacking)+len(f.stray) == 0 && !f.wrong
}

// inspect reads every entry and every index key. It ends early, with
// errStopped, when stop is closed.
func (t tables) inspect(stop <-chan struct{}) (findings, error) {
	var found findings
	placed := 0 // entries that the index has as it should
	err := t.entries().ForEach(func(k, v []byte) error {
		if stopped(stop) {
			return errStopped
		}
		d, ok := parseKey(k)
		e, err := decode(d, v)
		if !ok || err != nil {
			found.decayed = append(found.decayed, bytes.Clone(k))
			return nil
		}
		found.count++
		switch place := indexKey(e); {
		case place == nil:
		case t.index().Get(place) == nil:
			found.lacking = append(found.lacking, e)
		default:
			placed++
		}
		return nil
	})
	if err != nil {
		return findings{}, err
	}
	found.wrong = number(t.meta(), countKey) != found.count
	found.stray, err = t.strays(placed, stop)
	return found, err
}

// strays returns the index keys beside those placed, which it looks for one by
// one only where the index has more.
func (t tables) strays(placed int, stop <-chan struct{}) (stray [][]byte, err error) {
	keys := 0
	err = t.index().ForEach(func(_, _ []byte) error {
		keys++
		return nil
	})
	if err != nil || keys == placed {
		return nil, err
	}
	err = t.index().ForEach(func(k, _ []byte) error {
		if stopped(stop) {
			return errStopped
		}
		next, d, ok := parseIndexKey(k)
		e, there, _ := t.get(d)
		if !ok || !there || !e.Next.Equal(next) {
			stray = append(stray, bytes.Clone(k))
		}
		return nil
	})
	return stray, err
}

// repair removes what has decayed and makes index and count fit the rest. lost
// is how many entries it removed.
func (t tables) repair(stop <-chan struct{}) (lost int, err error) {
	found, err := t.inspect(stop)
	if err != nil {
		return 0, err
	}
	for _, k := range found.decayed {
		if err := t.entries().Delete(k); err != nil {
			return 0, err
		}
	}
	for _, k := range found.stray {
		if err := t.index().Delete(k); err != nil {
			return 0, err
		}
	}
	for _, e := range found.lacking {
		if err := t.enter(e); err != nil {
			return 0, err
		}
	}
	return len(found.decayed), putNumber(t.meta(), countKey, found.count)
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
