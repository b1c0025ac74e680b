package store

import (
	"bytes"
	"errors"
	"math"
	"time"

	bolt "go.etcd.io/bbolt"
)

var errStopped = errors.New("stopped before the check was done")

// check reads a whole file that was just opened, in the background: first its pages,
// any fault of which makes the whole file corrupt, then its entries, of which corrupt
// ones are removed alone. It also finds out whether the file is worth compacting. It
// ends early if another file is in use.
func (s *Store) check(f *file) {
	p := newPace(s.quit)
	step := func() error {
		if s.current() != f {
			return errStopped
		}
		return p.step()
	}
	var found faults
	var wasteful bool
	err := f.view(func(tx *bolt.Tx) error {
		free, err := f.checkPages(tx, step)
		if err != nil {
			return err
		}
		wasteful = tx.Size() > s.sizes.compacted && 2*free > tx.Size()
		found, err = s.tables(f, tx).compareCounts(step)
		return err
	})
	// In pieces: pages that become free are not used again as long as a transaction
	// can read them, so the file would grow meanwhile.
	for from := []byte{}; err == nil && from != nil; {
		err = f.view(func(tx *bolt.Tx) (err error) {
			from, err = s.tables(f, tx).inspect(&found, from, maxChunk, step)
			return err
		})
	}
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
	placed     int      // how many of these have an index key, as they should
	corrupt    [][]byte // keys of those that are not
	unindexed  []string // keys of sound entries that their index lacks
	strays     bool     // an index has keys that fit no entry
	wrongCount bool     // the file's count is not sound
}

func (f faults) any() bool {
	return len(f.corrupt)+len(f.unindexed) > 0 || f.strays || f.wrongCount
}

// compareCounts compares the count of entries with the number of their keys and of
// index keys, of which an entry has one at most.
func (t tables) compareCounts(step func() error) (found faults, err error) {
	var keys [3]int
	for i, b := range []*bolt.Bucket{t.entries(), t.index(false), t.index(true)} {
		err = errors.Join(err, b.ForEach(func(_, _ []byte) error {
			keys[i]++
			return step()
		}))
	}
	found.strays = keys[1]+keys[2] > keys[0]
	found.wrongCount = number(t.meta(), countKey) != uint64(keys[0])
	return found, err
}

// inspect adds the faults of up to limit entries from a key on. It returns the key to
// go on from, nil at the end. step is called for each entry; its error ends inspect.
func (t tables) inspect(found *faults, from []byte, limit int, step func() error) (next []byte, err error) {
	c := t.entries().Cursor()
	for k, v := c.Seek(from); k != nil; k, v = c.Next() {
		if limit--; limit < 0 {
			return bytes.Clone(k), nil
		}
		if err := step(); err != nil {
			return nil, err
		}
		d, ok := parseKey(k)
		h, err := readHeader(d.String(), v)
		if err == nil {
			_, err = h.decode(d, v, t.now)
		}
		if !ok || err != nil {
			found.corrupt = append(found.corrupt, bytes.Clone(k))
			continue
		}
		found.sound++
		switch place, failing := h.place(d.String()); {
		case place == nil:
		case t.index(failing).Get(place) == nil:
			found.unindexed = append(found.unindexed, d.String())
		default:
			found.placed++
		}
	}
	return nil, nil
}

// inspectAll returns the faults of a transaction that has changed nothing.
func (t tables) inspectAll(stop <-chan struct{}) (found faults, err error) {
	_, err = t.inspect(&found, nil, math.MaxInt, func() error {
		if stopped(stop) {
			return errStopped
		}
		return nil
	})
	if err != nil {
		return faults{}, err
	}
	keys := t.index(false).Stats().KeyN + t.index(true).Stats().KeyN
	found.strays = keys > found.placed
	found.wrongCount = number(t.meta(), countKey) != found.sound
	return found, nil
}

// repair removes corrupt entries and makes indexes and count fit the rest. Nothing
// may have been changed in the transaction before. lost is how many entries it removed.
func (t tables) repair(stop <-chan struct{}) (lost int, err error) {
	found, err := t.inspectAll(stop)
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

const (
	// workTime is how long background work goes on before it rests for restTime: it
	// takes a quarter of one processor. The Go scheduler may leave a lookup waiting
	// behind work that never rests for 10 ms, several times.
	workTime = time.Millisecond
	restTime = 3 * workTime
)

// pace is that of background work.
type pace struct {
	stop  <-chan struct{}
	since time.Time // the work goes on since then
}

func newPace(stop <-chan struct{}) *pace { return &pace{stop, time.Now()} }

// step is called between small pieces of the work, and rests if it is time to. It
// returns errStopped when stop is closed.
func (p *pace) step() error {
	if stopped(p.stop) {
		return errStopped
	}
	if time.Since(p.since) < workTime {
		return nil
	}
	select {
	case <-time.After(restTime):
	case <-p.stop:
		return errStopped
	}
	p.since = time.Now()
	return nil
}

func stopped(stop <-chan struct{}) bool {
	select {
	case <-stop:
		return true
	default:
		return false
	}
}
