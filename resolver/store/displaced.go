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
	for from := []byte{}; from != nil; {
		var history []kept
		var chunk []Entry
		err := old.view(func(tx *bolt.Tx) error {
			t := w.tables(old, tx)
			if len(from) == 0 {
				history = t.changes()
			}
			chunk, from = t.chunk(nil, from, maxChunk)
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
			later := make(map[mtasts.Domain]*change)
			for _, e := range chunk {
				if has, ok := t.get(e.Domain); !ok || t.now.later(e.Fetched, has.Fetched) {
					later[e.Domain] = &change{entry: e}
				}
			}
			return errors.Join(t.apply(later), t.addNewer(history))
		})
		if err != nil {
			return err
		}
	}
	return nil
}
