package store

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
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

	// maxSetAside is how many files in a row may turn out corrupt before the writer
	// pauses, because the disk corrupts them.
	maxSetAside = 2
)

// writer is the one goroutine that writes the file, opens it and sets it aside.
type writer struct {
	*Store
	// Only the writer's goroutine uses what follows.
	first          bool          // no attempt to open a file has been made before
	failing        bool          // the last attempt to write failed, which was logged
	retry          time.Duration // pause after that attempt
	walk           walk
	notifyReplaced bool // Replaced is due once there is a new file
	notCopied      bool // a file of schema 1 could not be copied, which was logged
}

func (w *writer) run() {
	defer close(w.done)
	var timer <-chan time.Time
	attempt := func(maintain bool) error {
		timer = nil
		err := w.sync()
		if err == nil && maintain {
			f := w.current()
			err = w.maintain(f)
			if w.drop(f, err); asCorruption(err) != nil {
				err = nil // the writer has been woken and sets the file aside
			}
		}
		w.report(err)
		switch {
		case err != nil:
			w.retry = min(max(2*w.retry, minRetry), maxRetry)
			timer = time.After(w.retry)
		case w.walkDue(w.current()) || w.compact.Load():
			timer = time.After(0)
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
			w.clk.Observe()
			if f := w.current(); timer == nil && (w.displaced(f) || w.walkDue(f)) {
				attempt(true)
			}
		case <-w.wake:
			if timer == nil {
				timer = time.After(commitInterval)
			}
		case <-timer:
			attempt(true)
		case reply := <-w.flushes:
			reply <- attempt(false)
		case <-w.quit:
			return
		}
	}
}

// report counts each failure, and logs the first one and the recovery.
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

// sync writes the pending changes, to a new file if the one before turns out to be
// corrupt.
func (w *writer) sync() (err error) {
	for range maxSetAside {
		if err = w.open(); err != nil {
			return err
		}
		if err = w.write(w.current()); asCorruption(err) == nil {
			return err
		}
	}
	return err
}

// open makes sure that a sound file is open. The error says why it cannot be
// written, although it may be read. What open does depends on the file in use:
//
//	none       opens the one that the path names, or creates it
//	writable   nothing
//	read-only  opens it again, if it can be written now; until then it is read
//	corrupt    sets it aside and creates another
//	displaced  opens or creates the one that the path names now, and copies what the
//	           old one has to it
func (w *writer) open() error {
	w.mu.Lock()
	broken, old := w.broken, w.file
	w.mu.Unlock()
	if broken != nil {
		if !w.displaced(broken.file) {
			if err := w.setAside(broken.why); err != nil {
				return err
			}
		}
		w.notifyReplaced = true
		w.mu.Lock()
		w.broken = nil
		w.numbers.complete = w.wallMilli()
		w.mu.Unlock()
		// Not waited for: a fault may have left it locked.
		go broken.file.close()
	}
	displaced, again := w.displaced(old), false
	switch {
	case displaced && !w.failing:
		w.report(errDisplaced)
	case old != nil && !displaced:
		if old.unwritable == nil {
			return nil
		}
		if err := writable(w.path); err != nil {
			return err
		}
		again = true
		old.unlock()
	}
	f, err := w.openFile()
	if asCorruption(err) != nil { // it was set aside
		f, err = w.openFile()
	}
	if again { // before f is written: old is the same file
		w.use(f)
		old.close()
	}
	if err != nil {
		return err
	}
	err = w.adopt(f, displaced)
	if err == nil && displaced {
		err = w.takeOver(f, old)
	}
	if err != nil {
		if again {
			w.use(nil)
		}
		f.close()
		return err
	}
	if !again {
		w.use(f)
	}
	if displaced {
		defer old.close()
	}
	if w.notifyReplaced {
		w.notifyReplaced = false
		w.notifyRenewed()
	}
	w.checks.Go(func() { w.check(f) })
	return f.unwritable
}

// adopt takes over the numbers of a file just opened. Its purges must not void
// entries that this process has fetched, so adopt first removes those that they do
// void. If f takes the place of a displaced file, the history of that one goes on.
func (w *writer) adopt(f *file, displaced bool) error {
	if !w.first && f.swept < f.saved.purged && f.unwritable == nil {
		if err := w.begin(f); err != nil {
			return err
		}
		w.walk = walk{file: f, active: true, purged: f.saved.purged}
		for w.walk.active {
			if err := w.step(f); err != nil {
				return err
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.noteSteps()
	n := &w.numbers
	n.purges = max(n.purges, f.saved.purges)
	w.lastNews = max(w.lastNews, f.saved.news)
	if w.first {
		n.purged = max(n.purged, f.saved.purged)
	}
	if !displaced && f.saved.complete != 0 {
		n.complete = f.saved.complete
	}
	// The file may remember more of this boot than this process does.
	sameBoot, stepped := f.saved.origin != 0, w.stepped(f)
	n.origin = uint64(w.clk.Origin().Boot().Unix())
	if sameBoot {
		n.origin = f.saved.origin // until a walk has stamped everything again
	}
	if sameBoot && !stepped && w.steps == 0 {
		n.steady = min(n.steady, f.saved.steady)
	}
	w.walk = walk{file: f, steps: w.steps, purged: f.swept, active: sameBoot && stepped}
	w.sweeping = n.purged > f.swept
	return nil
}

func (w *writer) notifyRenewed() {
	select {
	case w.replaced <- struct{}{}:
	default: // the receiver has not taken the notification before
	}
}

func (w *writer) use(f *file) {
	w.mu.Lock()
	w.file = f
	w.mu.Unlock()
	w.files.Add(1) // after the file can be read, see Files
	if f != nil {
		w.wakeWriter() // numbers may have to be written
	}
}

// write writes everything that is pending to f.
func (w *writer) write(f *file) error {
	if f == nil {
		return corrupt("it was found corrupt meanwhile")
	}
	if err := w.begin(f); err != nil {
		w.drop(f, err)
		return err
	}
	for {
		w.mu.Lock()
		w.noteSteps()
		w.numbers.news = w.lastNews
		changes, news, numbers := w.pending.take(maxBatch), slices.Clone(w.news), w.numbers
		w.mu.Unlock()
		repair := w.repair.Swap(false)
		if len(changes)+len(news) == 0 && numbers == f.saved && !repair {
			return nil
		}
		lost := 0
		err := f.update(func(tx *bolt.Tx) (err error) {
			t := w.tables(f, tx)
			if repair {
				if lost, err = t.repair(w.quit); err != nil {
					return err
				}
			}
			err = errors.Join(t.apply(changes), t.record(news))
			for key, n := range numbers.fields() {
				err = errors.Join(err, putNumber(t.meta(), key, *n))
			}
			return err
		})
		if err != nil {
			w.repair.CompareAndSwap(false, repair)
			w.drop(f, err)
			return err
		}
		f.saved = numbers
		if lost > 0 {
			w.errors.Add(1)
			event.StoreEntriesLost.Log(w.logger, fileAttr(w.path), slog.Int("policies", lost))
		}
		w.mu.Lock()
		w.pending.settle(changes)
		w.news = slices.DeleteFunc(w.news, func(k kept) bool { return k.number <= numbers.news })
		w.mu.Unlock()
	}
}

func fileAttr(path string) slog.Attr { return slog.String("file", path) }
