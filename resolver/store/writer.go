package store

import (
	"log/slog"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
)

const (
	// commitInterval is how long changes are gathered into one transaction,
	// which costs the disk two synchronous writes however many they are.
	commitInterval = 200 * time.Millisecond
	// maxBatch bounds a transaction, which holds every page that it touches in
	// memory: in a large file, one for each entry.
	maxBatch = 1_000

	minRetry = time.Second
	maxRetry = time.Minute

	// maxSetAside is how many files in a row may turn out damaged before the
	// disk that spoils them is left alone for a while.
	maxSetAside = 2
)

// writer is the one goroutine that writes the file, opens it and sets it
// aside.
type writer struct {
	*Store
	failing bool
	retry   time.Duration
}

func (w *writer) run() {
	defer close(w.done)
	var timer <-chan time.Time
	attempt := func() error {
		timer = nil
		err := w.sync()
		w.report(err)
		if err != nil {
			w.retry = min(max(2*w.retry, minRetry), maxRetry)
			timer = time.After(w.retry)
		}
		return err
	}
	if w.failing {
		timer = time.After(minRetry)
	}
	look := time.NewTicker(lookInterval)
	defer look.Stop()
	for {
		select {
		case <-look.C:
			if timer == nil && w.displaced(w.current()) {
				attempt()
			}
		case <-w.wake:
			if timer == nil {
				timer = time.After(commitInterval)
			}
		case <-timer:
			attempt()
		case reply := <-w.flushes:
			reply <- attempt()
		case <-w.quit:
			return
		}
	}
}

// report counts each failure, and tells once that the file fails and once that
// it does no more.
func (w *writer) report(err error) {
	w.mu.Lock()
	w.failed = err
	w.mu.Unlock()
	if err != nil {
		w.errors.Add(1)
	}
	switch failing := err != nil; {
	case failing && !w.failing:
		event.StoreFailing.Log(w.logger, fileAttr(w.path), event.Reason(err))
	case !failing && w.failing:
		w.retry = 0
		event.StoreRecovered.Log(w.logger, fileAttr(w.path))
	}
	w.failing = err != nil
}

// sync brings the file up to date with what is pending, in a file begun anew
// where the one before turns out damaged.
func (w *writer) sync() (err error) {
	for range maxSetAside {
		if err = w.open(); err != nil {
			return err
		}
		if err = w.write(w.current()); asDamage(err) == nil {
			return err
		}
	}
	return err
}

// open sees to it that a sound file is open. The error says why it cannot be
// written, though it may serve to be read.
func (w *writer) open() error {
	w.mu.Lock()
	spoiled, current := w.spoiled, w.file
	w.mu.Unlock()
	if spoiled != nil {
		if !w.displaced(spoiled.file) {
			if err := w.setAside(spoiled.why); err != nil {
				return err
			}
		}
		w.mu.Lock()
		w.spoiled = nil
		w.mu.Unlock()
		// Not waited for: a fault may have left it locked.
		go spoiled.file.close()
	}
	displaced := w.displaced(current)
	switch {
	case displaced && !w.failing:
		w.report(errDisplaced)
	case current != nil && !displaced:
		if current.unwritable == nil {
			return nil
		}
		if err := writable(w.path); err != nil {
			return err
		}
		w.use(nil)
		current.close()
	}
	f, err := openFile(w.path, w.setAside)
	if asDamage(err) != nil {
		f, err = openFile(w.path, w.setAside)
	}
	if err != nil {
		return err
	}
	if displaced {
		if err := w.takeOver(f, current); err != nil {
			f.close()
			return err
		}
		defer current.close()
	}
	w.use(f)
	if spoiled != nil {
		w.tellRenewed()
	}
	w.checks.Go(func() { w.check(f) })
	return f.unwritable
}

func (w *writer) tellRenewed() {
	select {
	case w.renewed <- struct{}{}:
	default: // it has been told already
	}
}

func (w *writer) use(f *file) {
	w.mu.Lock()
	w.file = f
	w.mu.Unlock()
}

// write writes everything that is pending to f.
func (w *writer) write(f *file) error {
	if f == nil {
		return damaged("it was found damaged meanwhile")
	}
	for {
		w.mu.Lock()
		batch := w.pending.take(maxBatch)
		w.mu.Unlock()
		if len(batch) == 0 && !w.repair.Load() {
			return nil
		}
		lost, err := w.commit(f, batch)
		if err != nil {
			w.spoil(f, err)
			return err
		}
		if lost > 0 {
			w.errors.Add(1)
			event.StoreEntriesLost.Log(w.logger, fileAttr(w.path), slog.Int("policies", lost))
		}
		w.mu.Lock()
		w.pending.settle(batch)
		w.mu.Unlock()
	}
}

// commit writes one batch, and repairs the file first if that is wanted.
func (w *writer) commit(f *file, batch map[mtasts.Domain]*change) (lost int, err error) {
	repair := w.repair.Swap(false)
	err = f.update(func(tx *bolt.Tx) error {
		t := tables{tx}
		if repair {
			var err error
			if lost, err = t.repair(w.quit); err != nil {
				return err
			}
		}
		clean, err := t.apply(batch)
		if !clean {
			w.repair.Store(true)
		}
		return err
	})
	if err != nil && repair {
		w.repair.Store(true)
	}
	return lost, err
}

func fileAttr(path string) slog.Attr { return slog.String("file", path) }
