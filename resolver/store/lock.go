package store

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"
)

// ErrLocked says that another daemon uses the policy file.
var ErrLocked = errors.New("another daemon uses this policy file; stop it, or give each its own cache.file")

var errNotRegular = errors.New("cache.file is not a regular file")

const (
	// lockTimeout is how long a daemon that is ending may still hold the file.
	lockTimeout = time.Second
	lockPoll    = 50 * time.Millisecond
)

// lockFile opens the file and locks it as bbolt does, so that it is looked
// into, and set aside, only while no other daemon uses it.
//
// A file that cannot be opened for writing is opened for reading, if that is
// possible: then the policies that it has still hold.
func lockFile(path string) (*file, error) {
	if info, err := os.Stat(path); err == nil && !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: %w", path, errNotRegular)
	}
	how := syscall.LOCK_EX
	f, unwritable := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
	if unwritable != nil {
		how = syscall.LOCK_SH
		var err error
		if f, err = os.Open(path); err != nil {
			return nil, unwritable
		}
	}
	var err error
	for begin := time.Now(); ; time.Sleep(lockPoll) {
		err = syscall.Flock(int(f.Fd()), how|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Since(begin) > lockTimeout {
			break
		}
	}
	if err == nil && isFile(path, f) {
		return &file{f: f, unwritable: unwritable}, nil
	}
	f.Close()
	if err == nil || errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrLocked
	}
	return nil, fmt.Errorf("%s: %w", path, err)
}

// unlock lets the file be locked again, by another file of this process.
func (f *file) unlock() { syscall.Flock(int(f.f.Fd()), syscall.LOCK_UN) }

// isFile reports whether path still names f: another daemon may have set it
// aside while this one waited.
func isFile(path string, f *os.File) bool {
	named, err := os.Stat(path)
	if err != nil {
		return false
	}
	held, err := f.Stat()
	return err == nil && os.SameFile(named, held)
}

// writable says why the file cannot be opened for writing, nil if it can.
func writable(path string) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	return f.Close()
}
