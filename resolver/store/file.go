package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync/atomic"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
)

const (
	fileMode = 0o600
	dirMode  = 0o700

	// growth is how much the file grows at a time.
	growth = 1 << 20
)

// sizes are in bytes.
type sizes struct {
	// mapped is the least address space for the file, which takes no memory. A
	// file that outgrows its mapping is mapped again, for which bbolt waits for
	// every reader, the check at the start included, while new readers wait for
	// it. So a file is mapped at twice its size, and at least this.
	mapped int
	// compacted is from which size on a file is compacted when more than half of
	// it is free.
	compacted int64
}

func usualSizes() sizes { return sizes{mapped: 1 << 30, compacted: 16 << 20} }

// file is an open policy file.
type file struct {
	db *bolt.DB
	f  *os.File // bbolt's own
	// unwritable is why the file can only be read; nil if it can be written.
	unwritable error
	// size is the least size that the file had; a file that shrinks lost pages.
	size atomic.Int64

	boot uint64 // this boot's number in the file; does not change

	// Only the writer uses what follows.
	schema uint64  // as of the opening, noSchema for a new file
	begun  bool    // see begin
	saved  numbers // as the file has them
	swept  uint64  // the purge whose void entries have been removed
}

// openFile opens the policy file or creates it. A file that is corrupt is set aside
// while it is still locked; the error is then a *corruption. One that exists but
// cannot be written is opened to be read.
func (w *writer) openFile() (*file, error) {
	if err := os.MkdirAll(filepath.Dir(w.path), dirMode); err != nil {
		return nil, err
	}
	f, err := lockFile(w.path)
	if err != nil {
		return nil, err
	}
	if err = w.load(f); err == nil {
		return f, nil
	}
	if c := asCorruption(err); c != nil {
		if failed := w.setAside(c); failed != nil {
			err = failed
		}
	}
	if f.db != nil {
		f.close()
	}
	f.f.Close() // closed already, unless bbolt panicked
	return nil, err
}

// load checks the size of a file just locked, hands it to bbolt and reads its numbers.
func (w *writer) load(f *file) error {
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	fresh := info.Size() == 0
	if fresh && f.unwritable != nil {
		return f.unwritable
	}
	if !fresh {
		if err := checkHeader(f.f, info.Size()); err != nil {
			return err
		}
	}
	if err = f.openDB(max(w.sizes.mapped, int(2*info.Size()))); err == nil {
		err = f.look(w.clk.Boot())
	}
	if err == nil && f.schema == noSchema {
		err = w.begin(f)
	}
	switch {
	case fresh && err != nil:
		// A full disk: half a file would be taken for a corrupt one.
		return errors.Join(err, os.Truncate(f.f.Name(), 0))
	case fresh:
		return syncDir(filepath.Dir(f.f.Name()))
	}
	return err
}

func (f *file) openDB(mapped int) error {
	return guard(func() (err error) {
		f.db, err = bolt.Open(f.f.Name(), fileMode, &bolt.Options{
			OpenFile: func(string, int, os.FileMode) (*os.File, error) { return f.f, nil },
			// The list of free pages is in the file: without it bbolt would read
			// every page at the start.
			NoFreelistSync:  false,
			FreelistType:    bolt.FreelistMapType,
			InitialMmapSize: mapped,
			NoStatistics:    true,
			ReadOnly:        f.unwritable != nil,
		})
		if err == nil {
			f.db.AllocSize = growth
		}
		return err
	})
}

// view runs fn in a read-only transaction. fn must copy the data that it keeps.
func (f *file) view(fn func(*bolt.Tx) error) error {
	if err := f.checkSize(); err != nil {
		return err
	}
	return guard(func() error { return f.db.View(fn) })
}

// update runs fn in the one writing transaction and commits it.
func (f *file) update(fn func(*bolt.Tx) error) error {
	if f.unwritable != nil {
		return f.unwritable
	}
	if err := f.checkSize(); err != nil {
		return err
	}
	if err := guard(func() error { return f.db.Update(fn) }); err != nil {
		return err
	}
	return f.checkSize()
}

// checkSize finds a file that was truncated under the daemon before bbolt
// does: a fault while it holds its locks would leave them locked.
func (f *file) checkSize() error {
	had := f.size.Load() // before Stat, for the file may be growing
	info, err := f.f.Stat()
	if err != nil {
		return err
	}
	if info.Size() < had {
		return corrupt("it was truncated: %d bytes of %d", info.Size(), had)
	}
	f.size.CompareAndSwap(had, info.Size())
	return nil
}

// close waits for the transactions under way.
func (f *file) close() error { return guard(f.db.Close) }

// syncDir makes a file just created outlive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// corruption is why a file can no longer be used.
type corruption struct{ reason string }

func (c *corruption) Error() string { return c.reason }

func corrupt(format string, args ...any) *corruption {
	return &corruption{fmt.Sprintf(format, args...)}
}

// asCorruption returns the corruption that err wraps, or nil.
func asCorruption(err error) *corruption {
	c, _ := errors.AsType[*corruption](err)
	return c
}

// guard runs fn, which reads a mapped file: bbolt panics at a page that makes no
// sense, and the kernel faults if the file has no such page or cannot read it. Either
// is corruption and must not end the daemon. A fault is caught only on the goroutine
// that calls guard.
func guard(fn func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if r := recover(); r != nil {
			err = corrupt("%v", r)
		}
	}()
	return fn()
}

// setAside renames a corrupt file, to be examined by the operator, to a name that no
// file has yet.
func (w *writer) setAside(why *corruption) error {
	base := w.path + ".damaged-" + time.Now().UTC().Format("20060102T150405Z")
	name := base
	for n := 2; exists(name); n++ {
		name = fmt.Sprintf("%s-%d", base, n)
	}
	if err := os.Rename(w.path, name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	w.errors.Add(1)
	event.StoreDamaged.Log(w.logger, fileAttr(w.path), slog.String("set_aside", name), event.Reason(why))
	return nil
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
