package store

import (
	"errors"
	"log/slog"
	"maps"
	"sync"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// errClosed is what Flush says after Close.
var errClosed = errors.New("the policy store is closed")

// Store keeps entries. It is safe for concurrent use.
type Store struct {
	path   string // empty: memory alone
	logger *slog.Logger

	mu      sync.Mutex // guards what follows
	pending pending
	file    *file   // nil while none is open
	spoiled *spoilt // what the writer must set aside
	failed  error   // why the last attempt to write failed; nil if it did not

	errors  atomic.Uint64     // failures and damage met so far
	repair  atomic.Bool       // the writer must look for damaged entries
	wake    chan struct{}     // tells the writer that there is work
	flushes chan chan<- error // asks the writer to write now
	renewed chan struct{}     // tells of a file begun anew
	quit    chan struct{}     // closed by Close
	done    chan struct{}     // closed when the writer has ended
	checks  sync.WaitGroup    // of the checks of files just opened
	close   func() error      // once
}

// spoilt is a file found damaged while it was in use.
type spoilt struct {
	file *file
	why  *damage
}

// Open opens the policy file at path, or begins it, with its directory. A file
// that is damaged or not a policy file is set aside under another name with a
// warning. Where the file cannot be written, Open warns, serves what it can
// read of it and what memory has, and tries again. The error is ErrLocked, wrapped, where another
// daemon uses the file, or says that path is no regular file.
func Open(path string, logger *slog.Logger) (*Store, error) {
	s := newStore(path, logger)
	w := &writer{Store: s}
	if err := w.open(); errors.Is(err, ErrLocked) || errors.Is(err, errNotRegular) {
		return nil, err
	} else if err != nil {
		w.report(err)
	}
	go w.run()
	return s, nil
}

// OpenMemory returns a Store without a file. It holds entries of 64 MiB in all
// and keeps none that come when it is full.
func OpenMemory() *Store {
	s := newStore("", slog.New(slog.DiscardHandler))
	close(s.done)
	return s
}

func newStore(path string, logger *slog.Logger) *Store {
	s := &Store{
		path:    path,
		logger:  logger,
		pending: pending{changes: map[mtasts.Domain]*change{}},
		wake:    make(chan struct{}, 1),
		flushes: make(chan chan<- error),
		renewed: make(chan struct{}, 1),
		quit:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	s.close = sync.OnceValue(s.shutDown)
	return s
}

// Get returns the entry of d.
func (s *Store) Get(d mtasts.Domain) (e Entry, ok bool) {
	for {
		s.mu.Lock()
		c, f := s.pending.changes[d], s.file
		s.mu.Unlock()
		if c != nil {
			return c.entry, !c.deleted
		}
		read := s.view(f, func(t tables) error {
			var err error
			if e, ok, err = t.get(d); err != nil {
				s.wantRepair()
			}
			return nil
		})
		if read || s.current() == f {
			return e, ok
		}
		// Another file has taken the place of f, which was closed.
	}
}

// Put keeps e in the place of its domain's entry before, if any. It returns at
// once; the entry is on disk within a second, unless the disk is in trouble.
// Then up to 64 MiB wait in memory, and what comes when they are full is not
// kept: the file has the entry before, whose Recheck finds what is newer.
func (s *Store) Put(e Entry) {
	s.change(e.Domain, &change{entry: e.normal()})
}

// Delete forgets the entry of d, as durably as Put keeps one.
func (s *Store) Delete(d mtasts.Domain) {
	s.change(d, &change{deleted: true})
}

func (s *Store) change(d mtasts.Domain, c *change) {
	s.mu.Lock()
	if c.deleted && s.path == "" {
		s.pending.remove(d)
	} else {
		s.pending.add(d, c)
	}
	s.mu.Unlock()
	s.wakeWriter()
}

// Renewed tells that the file was found damaged while it was in use and has been
// begun anew. Of what was in it, only what waited to be written is in the new
// one: whoever knows more should Put it again.
func (s *Store) Renewed() <-chan struct{} { return s.renewed }

// Err returns why the file could not be written when that was last tried; nil
// where it could be.
func (s *Store) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// Flush returns once everything put so far is on disk, or with the reason why
// it is not.
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

// Close flushes and ends the Store; after it there are no entries to be had
// from the file. The error says what was not written.
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

// view reads the file and reports whether it could. Where it is damaged it is
// not used again.
func (s *Store) view(f *file, fn func(tables) error) bool {
	if f == nil {
		return false
	}
	err := f.view(func(tx *bolt.Tx) error { return fn(tables{tx}) })
	s.spoil(f, err)
	return err == nil
}

// spoil takes the file out of use if err says that it is damaged.
func (s *Store) spoil(f *file, err error) {
	d := asDamage(err)
	if d == nil {
		return
	}
	s.mu.Lock()
	if s.file == f {
		s.file = nil
		s.spoiled = &spoilt{f, d}
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
