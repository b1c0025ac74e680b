package store

import (
	"errors"
	"os"
	"path/filepath"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
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

	boot uint64 // this boot's number in the file
	// The following belong to the writer.
	schema uint64  // as of the opening, 0 for a new file
	begun  bool    // see begin
	saved  numbers // as the file has them
	swept  uint64  // the purge whose void entries have been removed
}

// opener opens policy files.
type opener struct {
	bootID   string
	sizes    sizes
	setAside func(*corruption) error
}

// open opens the policy file or creates it. A file that is corrupt is set aside
// while it is still locked; the error is then a *corruption. One that exists but
// cannot be written is opened to be read.
func (o opener) open(path string) (*file, error) {
	if err := os.MkdirAll(filepath.Dir(path), dirMode); err != nil {
		return nil, err
	}
	f, err := lockFile(path)
	if err != nil {
		return nil, err
	}
	if err = f.open(o); err == nil {
		return f, nil
	}
	if c := asCorruption(err); c != nil {
		if failed := o.setAside(c); failed != nil {
			err = failed
		}
	}
	if f.db != nil {
		f.close()
	}
	f.f.Close() // closed already, unless bbolt panicked
	return nil, err
}

// open looks into the file and hands it to bbolt.
func (f *file) open(o opener) error {
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
	if err = f.openDB(max(o.sizes.mapped, int(2*info.Size()))); err == nil {
		err = f.look(o.bootID)
	}
	if err == nil && f.schema == 0 {
		err = f.begin(o.bootID)
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
	return guard(func() error {
		var err error
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
