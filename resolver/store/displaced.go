package store

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// lookInterval is how often the writer looks whether its path still names the
// file in use; it also looks before it writes. A file that was deleted takes
// all that is written and keeps none of it.
const lookInterval = 10 * time.Second

var errDisplaced = errors.New("it was deleted or replaced while in use; what was in it is written anew")

// displaced reports whether the path names another file than f, or none.
func (w *writer) displaced(f *file) bool { return f != nil && !isFile(w.path, f.f) }

// takeOver gives f, which the path names now, what it lacks of the file in use
// until now: all of it, unless another policy file was put in its place.
func (w *writer) takeOver(f, old *file) error {
	if f.unwritable != nil {
		return f.unwritable
	}
	var from []byte
	for {
		chunk, next, err := old.chunk(from)
		if err != nil {
			w.tellRenewed() // what cannot be read any more may be in memory
			return nil
		}
		if err := f.merge(chunk); err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		from = next
	}
}

func (f *file) chunk(from []byte) (chunk []Entry, next []byte, err error) {
	err = f.view(func(tx *bolt.Tx) error {
		chunk, next, _ = tables{tx}.chunk(from)
		return nil
	})
	return chunk, next, err
}

// merge puts the entries into f, but for those that it has from a later fetch.
func (f *file) merge(entries []Entry) error {
	return f.update(func(tx *bolt.Tx) error {
		t := tables{tx}
		lacking := make(map[mtasts.Domain]*change)
		for _, e := range entries {
			if has, ok, _ := t.get(e.Domain); !ok || has.Fetched.Before(e.Fetched) {
				lacking[e.Domain] = &change{entry: e}
			}
		}
		_, err := t.apply(lacking) // where an entry replaced was damaged, the check of f finds that
		return err
	})
}
