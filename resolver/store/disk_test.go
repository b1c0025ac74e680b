package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"mta-sts-daemon/resolver/event"
)

// disk mounts a small file system for the test alone.
func disk(t *testing.T, options string) string {
	t.Helper()
	dir := t.TempDir()
	if os.Getuid() != 0 {
		t.Skip("only root can mount the small disk that this test needs")
	}
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a small disk here: %v", err)
	}
	t.Cleanup(func() {
		// Detached: a process that another test starts has our files open until its exec.
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// fillDisk writes a file until a small disk is full.
func fillDisk(t *testing.T, dir string) (filler string) {
	t.Helper()
	filler = filepath.Join(dir, "filler")
	if err := os.WriteFile(filler, make([]byte, 2<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk does not fill: %v", err)
	}
	return filler
}

// On a full disk entries are served from memory, there is one warning and one notice
// when it ends, every attempt is counted, and nothing is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := disk(t, "size=2m")
	path := filepath.Join(dir, "policies.db")
	log := &journal{}
	s := open(t, path, log.logger())
	before := numbered(t, 0)
	s.Put(before)
	flush(t, s)

	filler := fillDisk(t, dir)
	for n := range 1000 {
		s.Put(numbered(t, n))
	}
	const attempts = 3
	for range attempts {
		if err := s.Flush(); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("Flush on a full disk: %v, want ENOSPC", err)
		}
	}
	if n := s.errors.Load(); n < attempts {
		t.Errorf("%d errors, want %d at least", n, attempts)
	}
	want(t, s, before)
	want(t, s, numbered(t, 999))
	if n := s.Len(); n != 1000 {
		t.Errorf("Len() = %d, want 1000", n)
	}
	log.want(t, event.StoreFailing)
	if err := s.Err(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Err() = %v, want ENOSPC", err)
	}

	remove(t, filler)
	log.want(t, event.StoreFailing, event.StoreRecovered) // without a Flush
	if err := s.Err(); err != nil {
		t.Errorf("Err() = %v after it recovered", err)
	}
	closeStore(t, s)
	s = open(t, path, log.logger())
	s.checks.Wait()
	if n := s.Len(); n != 1000 {
		t.Errorf("Len() = %d, want 1000", n)
	}
	want(t, s, numbered(t, 999))
	closeStore(t, s)
	log.want(t, event.StoreFailing, event.StoreRecovered)
}

// If nothing can be written at the start, the daemon starts nevertheless and tries
// again.
func TestReadOnlyDisk(t *testing.T) {
	t.Parallel()
	dir := disk(t, "size=2m")
	remount := func(flags uintptr) {
		t.Helper()
		if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	path := filepath.Join(dir, "policies.db")
	log := &journal{}
	s := open(t, path, log.logger())
	log.want(t, event.StoreFailing)
	a, b := numbered(t, 1), numbered(t, 2)
	s.Put(a)
	s.Put(b)
	s.Delete(b.Domain)
	want(t, s, a)
	wantNone(t, s, b.Domain)
	if err := s.Flush(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Flush: %v, want EROFS", err)
	}
	remount(0)
	log.want(t, event.StoreFailing, event.StoreRecovered)
	closeStore(t, s)

	// An existing file is still served.
	remount(syscall.MS_RDONLY)
	log = &journal{}
	s = open(t, path, log.logger())
	log.want(t, event.StoreFailing)
	want(t, s, a)
	s.Put(b)
	s.checks.Wait()
	if err := s.Flush(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Flush: %v, want EROFS", err)
	}
	want(t, s, a)
	want(t, s, b)
	if n := s.Len(); n != 2 {
		t.Errorf("Len() = %d, want 2", n)
	}
	remount(0)
	misses := 0
	for s.Err() != nil { // also while the file is opened again
		if _, ok := s.Get(a.Domain); !ok {
			misses++
		}
	}
	if misses > 0 {
		t.Errorf("%d times no entry", misses)
	}
	log.want(t, event.StoreFailing, event.StoreRecovered)
	closeStore(t, s)
	s = open(t, path, log.logger())
	want(t, s, a)
	want(t, s, b)
	closeStore(t, s)
}

// A disk that is full when the file is created leaves no incomplete file.
func TestFullDiskAtFirst(t *testing.T) {
	t.Parallel()
	dir := disk(t, "size=1m")
	filler := fillDisk(t, dir)
	if err := os.Truncate(filler, 1<<20-int64(os.Getpagesize())); err != nil { // room for one page
		t.Fatal(err)
	}
	log := &journal{}
	s := open(t, filepath.Join(dir, "policies.db"), log.logger())
	e := numbered(t, 1)
	s.Put(e)
	if err := s.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Flush: %v, want ENOSPC", err)
	}
	want(t, s, e)
	remove(t, filler)
	flush(t, s)
	log.want(t, event.StoreFailing, event.StoreRecovered)
	closeStore(t, s)
}

// If the disk is too full for a new file in place of a corrupt one, Replaced notifies
// once there is room.
func TestRenewedAfterFullDisk(t *testing.T) {
	t.Parallel()
	dir := disk(t, "size=2m")
	path := filepath.Join(dir, "policies.db")
	s := open(t, path, (&journal{}).logger())
	s.Put(numbered(t, 1))
	flush(t, s)
	s.checks.Wait()
	flush(t, s)
	used := pages(t, s)
	filler := fillDisk(t, dir)
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	metas := 2 * int64(os.Getpagesize())
	if _, err := f.WriteAt(bytes.Repeat([]byte{0xA5}, int(used-metas)), metas); err != nil {
		t.Fatal(err)
	}
	s.Get(numbered(t, 1).Domain)
	if err := s.Flush(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Flush: %v, want ENOSPC", err)
	}
	remove(t, filler)
	flush(t, s)
	select {
	case <-s.Replaced():
	default:
		t.Error("Replaced has not notified")
	}
}
