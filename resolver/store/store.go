package store

import (
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// errClosed is the error of Flush after Close.
var errClosed = errors.New("the policy store is closed")

// Store keeps entries and the history of changes. It is safe for concurrent use.
type Store struct {
	path   string // empty: memory alone
	clk    *clock.Clock
	logger *slog.Logger
	sizes  sizes

	mu sync.Mutex // guards what follows; it is not held while the file is read or written

	// Changes that are not yet in the file.
	pending  pending
	news     []kept  // changes of the history, the oldest first
	lastNews uint64  // number of the last one recorded
	numbers  numbers // in the file after the next commit

	steps    int     // of clk, as of numbers.steady
	sweeping bool    // the file may have void entries
	file     *file   // the file in use, may be nil; only the writer sets it
	broken   *broken // set aside by the writer next
	failed   error   // of the last attempt to write

	files    atomic.Uint64     // opened so far
	errors   atomic.Uint64     // failures and corruption so far
	repair   atomic.Bool       // the writer must repair the file
	compact  atomic.Bool       // the writer must compact the file
	wake     chan struct{}     // there is work for the writer
	flushes  chan chan<- error // asks the writer to write now
	replaced chan struct{}     // see Replaced
	quit     chan struct{}     // closed by Close
	done     chan struct{}     // closed when the writer has ended
	checks   sync.WaitGroup    // of the checks of files just opened
	close    func() error      // once
}

// broken is a file that was found corrupt while it was in use.
type broken struct {
	file *file
	why  *corruption
}

// Open opens the policy file at path, or creates it, with its directory. clk is the
// clock of the process. A file that is corrupt or not a policy file is set aside
// under another name with a warning. If the file cannot be written, Open logs a
// warning, and the Store serves the file as far as it can be read, keeps changes in
// memory, and retries. The error wraps ErrLocked if another daemon uses the file, or
// says that path does not name a regular file.
func Open(path string, clk *clock.Clock, logger *slog.Logger) (*Store, error) {
	return openSized(path, clk, logger, usualSizes())
}

func openSized(path string, clk *clock.Clock, logger *slog.Logger, sizes sizes) (*Store, error) {
	s := newStore(path, clk, logger)
	s.sizes = sizes
	w := &writer{Store: s, first: true}
	err := w.open()
	w.first = false
	if errors.Is(err, ErrLocked) || errors.Is(err, errNotRegular) {
		return nil, err
	}
	if err != nil {
		w.report(err)
	}
	go w.run()
	return s, nil
}

// OpenMemory returns a Store without a file. It holds entries of 64 MiB in all; see
// Put for what happens when it is full.
func OpenMemory(clk *clock.Clock) *Store {
	s := newStore("", clk, slog.New(slog.DiscardHandler))
	close(s.done)
	return s
}

func newStore(path string, clk *clock.Clock, logger *slog.Logger) *Store {
	s := &Store{
		path:     path,
		clk:      clk,
		logger:   logger,
		pending:  pending{changes: map[mtasts.Domain]*change{}},
		steps:    clk.Steps(),
		numbers:  numbers{steady: uint64(clk.LastStep()), origin: uint64(clk.Origin().Boot().Unix())},
		wake:     make(chan struct{}, 1),
		flushes:  make(chan chan<- error),
		replaced: make(chan struct{}, 1),
		quit:     make(chan struct{}),
		done:     make(chan struct{}),
	}
	s.numbers.complete = s.wallMilli()
	s.close = sync.OnceValue(s.shutDown)
	return s
}

// Get returns the entry of d.
func (s *Store) Get(d mtasts.Domain) (e Entry, ok bool) {
	s.mu.Lock()
	c, f := s.pending.changes[d], s.file
	s.mu.Unlock()
	if c != nil {
		return s.present(c.entry), !c.deleted
	}
	s.viewCurrent(f, func(t tables) { e, ok = t.get(d) })
	return e, ok
}

// Put keeps e in place of its domain's entry before, if any, unless a purge has
// voided it already. Put returns at once; the entry is on disk within a second,
// unless the file cannot be written. Then up to 64 MiB wait in memory. At that
// limit nothing new is kept: an entry whose policy replaces another one (another
// fetch) only removes that one, so that Get finds none; if just the times of an
// entry have changed, the entry before stays.
func (s *Store) Put(e Entry) {
	e.Verdicts = slices.Clone(e.Verdicts)
	e.FailedWord = e.FailedWord[:min(len(e.FailedWord), maxWord)]
	c := &change{entry: e}
	if s.add(c) {
		return
	}
	// The file is the authority. It is read without the lock.
	if before, ok := s.Get(e.Domain); ok && !before.Fetched.Equal(e.Fetched) {
		s.Delete(e.Domain)
	}
}

// add reports whether the entry is pending now, or void.
func (s *Store) add(c *change) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.void(s.numbers.purged) {
		return true
	}
	if !s.pending.fits(c.entry.Domain, c) {
		return false
	}
	s.pending.add(c.entry.Domain, c)
	s.wakeWriter()
	return true
}

// Delete removes the entry of d, as durably as Put keeps one. There is always room
// for a removal.
func (s *Store) Delete(d mtasts.Domain) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.path == "" {
		s.pending.remove(d)
		return
	}
	s.pending.add(d, &change{entry: Entry{Domain: d}, deleted: true})
	s.wakeWriter()
}

// PurgeAll voids every entry whose Purges is less than number. They can no longer
// be found from now on, whatever waits to be written, and are removed from the file
// in the background. A later Put of such an entry is ignored.
func (s *Store) PurgeAll(number uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if number <= s.numbers.purged {
		return
	}
	s.numbers.purges = max(s.numbers.purges, number)
	s.numbers.purged = number
	for d, c := range s.pending.changes {
		if c.void(number) {
			s.pending.remove(d)
		}
	}
	s.sweeping = s.path != ""
	s.wakeWriter()
}

// PurgedBelow returns the number of the last PurgeAll, also of earlier processes.
func (s *Store) PurgedBelow() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers.purged
}

// Purges returns the highest purge number that is known. It is as durable as an
// entry.
func (s *Store) Purges() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.numbers.purges
}

// RaisePurges makes n the highest purge number known, unless a higher one is.
func (s *Store) RaisePurges(n uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n > s.numbers.purges {
		s.numbers.purges = n
		s.wakeWriter()
	}
}

// SteadySince returns since when this boot, restarts of the daemon included, has
// seen no step of the wall clock, as far as the daemon knows.
func (s *Store) SteadySince() clock.Moment {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noteSteps()
	return clock.Moment(s.numbers.steady)
}

// noteSteps takes over what clk has found of steps. mu is held.
func (s *Store) noteSteps() {
	if steps := s.clk.Steps(); steps != s.steps {
		s.steps, s.numbers.steady = steps, uint64(s.clk.LastStep())
	}
}

// Files returns how many files have been taken into use. Another file may have entries
// that the one before lacked. If Get finds no entry after a call of Files, that holds
// until Files changes or an entry is Put.
func (s *Store) Files() uint64 { return s.files.Load() }

// Replaced notifies that the file was found corrupt while it was in use and that a
// new one was created. The new one has only the entries that waited to be written:
// a caller that has more should Put them again.
func (s *Store) Replaced() <-chan struct{} { return s.replaced }

// Err returns why the file could not be written when that was last tried; nil if
// it could be.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Flush returns once everything put so far is on disk, or with the reason why it
// is not.
func (s *Store) Flush() error {
	if s.path == "" {
		return nil
	}
	reply := make(chan error, 1)
	select {
	case s.flushes <- reply:
		return <-reply
	case <-s.done:
		return errClosed
	}
}

// Close flushes and ends the Store. After that nothing is read from the file. The
// error says why entries were not written.
func (s *Store) Close() error { return s.close() }

func (s *Store) shutDown() error {
	err := s.Flush()
	close(s.quit)
	<-s.done
	s.checks.Wait()
	s.mu.Lock()
	f := s.file
	s.file = nil
	s.mu.Unlock()
	if f == nil {
		return err
	}
	return errors.Join(err, f.close())
}

// present returns e as the file would return it after a step of the wall clock.
func (s *Store) present(e Entry) Entry {
	e.Fetched = newStamp(0, s.clk.Origin()).fetched(e.Fetched)
	return e
}

// wallMilli returns the present wall time in Unix milliseconds.
func (s *Store) wallMilli() uint64 {
	return uint64(s.clk.Origin().Wall(s.clk.Now()).UnixMilli())
}

// snapshot returns the changes that wait now, and the file. A change that the
// snapshot lacks is in the file by the time that it is read, or is newer.
func (s *Store) snapshot() (map[mtasts.Domain]*change, *file) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.pending.changes), s.file
}

func (s *Store) current() *file {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.file
}

// viewCurrent reads f, or the file that has taken its place meanwhile. It returns
// the one that it could read, nil if none.
func (s *Store) viewCurrent(f *file, fn func(tables)) *file {
	for !s.view(f, fn) {
		current := s.current()
		if current == f {
			return nil
		}
		f = current
	}
	return f
}

// view reads the file and reports whether it could. A corrupt one is not used
// again.
func (s *Store) view(f *file, fn func(tables)) bool {
	if f == nil {
		return false
	}
	err := f.view(func(tx *bolt.Tx) error {
		fn(s.tables(f, tx))
		return nil
	})
	s.drop(f, err)
	return err == nil
}

// drop takes the file out of use if err says that it is corrupt.
func (s *Store) drop(f *file, err error) {
	c := asCorruption(err)
	if c == nil {
		return
	}
	s.mu.Lock()
	if s.file == f {
		s.file = nil
		s.broken = &broken{f, c}
	}
	s.mu.Unlock()
	s.wakeWriter()
}

func (s *Store) wantRepair() {
	s.repair.Store(true)
	s.wakeWriter()
}

func (s *Store) wakeWriter() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Register has reg collect the Store's metrics. It is called once for each Store.
func (s *Store) Register(reg prometheus.Registerer) {
	promauto.With(reg).NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mta_sts_policies_stored",
		Help: "Policies in the policy file, with those that expired within the last 30 days.",
	}, func() float64 { return float64(s.Len()) })
	promauto.With(reg).NewCounterFunc(prometheus.CounterOpts{
		Name: "mta_sts_store_errors_total",
		Help: "Failed attempts to open or write the policy file, and times that the file or policies in it were found corrupt.",
	}, func() float64 { return float64(s.errors.Load()) })
}
