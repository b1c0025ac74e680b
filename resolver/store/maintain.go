package store

import (
	"bytes"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// walk goes over the entries of a file, in pieces between the writer's other work:
// it removes void entries, and stamps values again that this boot wrote before a step
// of the wall clock. It starts again for each purge and each step.
type walk struct {
	file   *file
	active bool
	from   []byte // key to go on from
	steps  int    // of the clock, that the file's stamps take into account
	purged uint64 // number whose void entries the walk removes
}

// walkPiece is how many entries a piece looks at; it changes up to maxBatch.
const walkPiece = 8 * maxBatch

// stampSlack is by how many seconds the origin of a stamp may be off.
const stampSlack = 1

// stepped reports whether the wall clock has made a step since the stamps of this
// boot in f.
func (w *writer) stepped(f *file) bool {
	return w.clk.Origin().Boot().Sub(unix(int64(f.saved.origin))).Abs() > clock.StepLimit
}

// walkDue starts the walk if there is a reason, and reports whether it is active.
func (w *writer) walkDue(f *file) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteSteps()
	if f != nil && w.walk.file == f && (w.walk.steps != w.steps || w.walk.purged != w.numbers.purged) {
		w.walk = walk{file: f, active: true, steps: w.steps, purged: w.numbers.purged}
	}
	return w.walk.active && f != nil && w.walk.file == f && f.unwritable == nil
}

// maintain does one piece of the work that nobody waits for.
func (w *writer) maintain(f *file) error {
	switch {
	case w.walkDue(f):
		return w.step(f)
	case w.compact.Swap(false):
		w.compactFile(f)
	}
	return nil
}

// step does one piece of the walk.
func (w *writer) step(f *file) error {
	changes := map[mtasts.Domain]*change{}
	var next []byte
	err := f.view(func(tx *bolt.Tx) error {
		t := w.tables(f, tx)
		c := t.entries().Cursor()
		looked := 0
		for k, v := c.Seek(w.walk.from); k != nil; k, v = c.Next() {
			if looked++; looked > walkPiece || len(changes) == maxBatch {
				next = bytes.Clone(k)
				break
			}
			h, err := readHeader(string(k), v)
			d, ok := parseKey(k)
			switch off := h.origin - t.now.origin; {
			case err != nil || !ok:
				t.corrupt()
			case h.purges < w.walk.purged:
				changes[d] = &change{deleted: true}
			case h.boot == f.boot && (off > stampSlack || off < -stampSlack):
				if e, err := h.decode(d, v, t.now); err == nil {
					changes[d] = &change{entry: e}
				}
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	if len(changes) > 0 || next == nil {
		err = f.update(func(tx *bolt.Tx) error {
			t := w.tables(f, tx)
			if err := t.apply(changes); err != nil || next != nil {
				return err
			}
			return putNumber(t.meta(), sweptKey, w.walk.purged)
		})
	}
	if err != nil {
		return err // the piece is tried again
	}
	if w.walk.from = next; next != nil {
		return nil
	}
	f.swept = w.walk.purged
	w.walk.active = false
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.noteSteps(); w.steps == w.walk.steps { // else the next walk, for the new step, is not done
		w.numbers.origin = uint64(w.clk.Origin().Boot().Unix())
	}
	w.sweeping = w.numbers.purged > f.swept
	w.wakeWriter() // to write the numbers
	return nil
}

const (
	// compactSuffix is how the file is called into which another is compacted.
	compactSuffix = ".compact"
	// compactTx bounds a transaction of that, in bytes.
	compactTx = 4 << 20
)

// compactFile copies f without its free pages and puts the copy in its place. Until
// the rename f is complete and in use, after it the copy is. If the copy fails, f
// stays.
func (w *writer) compactFile(f *file) {
	path := w.path + compactSuffix
	small, err := lockFile(path)
	if err != nil {
		return
	}
	small.boot, small.begun, small.saved, small.swept = f.boot, f.begun, f.saved, f.swept
	if err = small.f.Truncate(0); err == nil { // a crash may have left one
		err = small.openDB(max(w.sizes.mapped, int(f.size.Load())))
	}
	if err == nil {
		err = guard(func() error { return bolt.Compact(small.db, f.db, compactTx) })
	}
	if err == nil && !w.displaced(f) {
		err = os.Rename(path, w.path)
	}
	if err != nil || w.displaced(small) {
		os.Remove(path)
		switch {
		case small.db == nil:
			small.f.Close()
		case asCorruption(err) != nil:
			go small.close() // not waited for: a fault may have left it locked
		default:
			small.close()
		}
		return
	}
	syncDir(filepath.Dir(w.path)) // if it fails, a power cut may leave f, which is complete too
	w.walk.file = small
	w.use(small)
	f.close()
}
