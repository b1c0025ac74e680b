package store

import (
	"errors"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// lookInterval is how often the writer looks at the clock, and whether its path
// still names the file in use; it also looks before it writes. Writes to a deleted
// file are lost.
const lookInterval = 10 * time.Second

var errDisplaced = errors.New("it was deleted or replaced while in use; what was in it is written again")

// displaced reports whether the path names another file than f, or none.
func (w *writer) displaced(f *file) bool { return f != nil && !isFile(w.path, f.f) }

// takeOver copies the entries and the history that f lacks from the file in use
// until now: all of them, unless another policy file was put in its place. f is the
// file that the path names now. Each file has its own boot numbers, so entries are
// encoded again.
func (w *writer) takeOver(f, old *file) error {
	if err := w.begin(f); err != nil {
		return err
	}
	var from []byte
	for {
		var chunk []Entry
		var history []kept
		var next []byte
		err := old.view(func(tx *bolt.Tx) error {
			t := w.tables(old, tx)
			if from == nil {
				history = t.changes()
			}
			chunk, next, _ = t.chunk(from)
			return nil
		})
		if err != nil {
			w.mu.Lock()
			w.numbers.complete = w.wallMilli()
			w.mu.Unlock()
			w.notifyRenewed() // entries that cannot be read any more may be in memory
			return nil
		}
		err = f.update(func(tx *bolt.Tx) error {
			t := w.tables(f, tx)
			if err := t.addNewer(history); err != nil {
				return err
			}
			return t.merge(chunk)
		})
		if err != nil {
			return err
		}
		if next == nil {
			return nil
		}
		from = next
	}
}

// merge puts the entries into the file, except those that it has from a later
// fetch.
func (t tables) merge(entries []Entry) error {
	lacking := make(map[mtasts.Domain]*change)
	for _, e := range entries {
		has, ok, _ := t.get(e.Domain)
		if !ok || t.now.later(e.Fetched, has.Fetched) {
			lacking[e.Domain] = &change{entry: e}
		}
	}
	_, err := t.apply(lacking) // if an entry replaced was corrupt, the check of the file finds that
	return err
}
