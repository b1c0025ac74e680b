package store

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/event"
)

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
}

// aged is an entry as it was fetched so long before.
func aged(e Entry, ago time.Duration) Entry {
	e.Fetched.At = e.Fetched.At.Add(-ago)
	return e
}

// backup puts a policy file with these entries in the place of another.
func backup(t *testing.T, path string, entries ...Entry) {
	t.Helper()
	other := filename(t)
	s := open(t, other, (&journal{}).logger())
	for _, e := range entries {
		s.Put(e)
	}
	closeStore(t, s)
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
}

// A file that is deleted or replaced under the daemon is noticed at the next
// write at the latest: neither its entries nor later ones are lost.
func TestDisplacedFile(t *testing.T) {
	t.Parallel()
	alone := numbered(t, stored+2) // in the backup alone
	later := aged(numbered(t, 2), -time.Hour)
	for name, tc := range map[string]struct {
		displace func(t *testing.T, path string)
		events   []event.Event
		more     []Entry
	}{
		"deleted": {displace: remove},
		"its directory deleted": {displace: func(t *testing.T, path string) {
			if err := os.RemoveAll(filepath.Dir(path)); err != nil {
				t.Fatal(err)
			}
		}},
		"replaced": {displace: func(t *testing.T, path string) {
			backup(t, path, aged(numbered(t, 1), time.Hour), later, alone)
		}, more: []Entry{numbered(t, 1), later, alone}},
		"replaced by no policy file": {displace: func(t *testing.T, path string) {
			remove(t, path)
			if err := os.WriteFile(path, []byte("policies\n"), fileMode); err != nil {
				t.Fatal(err)
			}
		}, events: []event.Event{event.StoreDamaged}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filled(t)
			log := &journal{}
			s := open(t, path, log.logger())
			s.checks.Wait()
			tc.displace(t, path)
			fresh := numbered(t, stored+1)
			s.Put(fresh)
			want(t, s, numbered(t, 3)) // from the old file
			flush(t, s)
			log.want(t, append(append([]event.Event{event.StoreFailing}, tc.events...), event.StoreRecovered)...)

			for range 2 {
				for n := range stored {
					if n != 2 {
						want(t, s, numbered(t, n))
					}
				}
				want(t, s, fresh)
				for _, e := range tc.more {
					want(t, s, e)
				}
				closeStore(t, s)
				s = open(t, path, log.logger())
			}
		})
	}
}

// If no file can be opened at the path, the one that it named before is still used.
func TestDisplacedForGood(t *testing.T) {
	t.Parallel()
	path := filled(t)
	log := &journal{}
	s := open(t, path, log.logger())
	s.checks.Wait()
	remove(t, path)
	other := open(t, path, log.logger())
	fresh := numbered(t, stored)
	s.Put(fresh)
	if err := s.Flush(); !errors.Is(err, ErrLocked) {
		t.Fatalf("Flush: %v, want ErrLocked", err)
	}
	want(t, s, numbered(t, 1))
	want(t, s, fresh)
	log.want(t, event.StoreFailing)

	closeStore(t, other)
	flush(t, s)
	log.want(t, event.StoreFailing, event.StoreRecovered)
	closeStore(t, s)
	s = open(t, path, log.logger())
	want(t, s, numbered(t, 1))
	want(t, s, fresh)
}

// A daemon that writes nothing notices too.
func TestDisplacedWhileIdle(t *testing.T) {
	t.Parallel()
	path := filled(t)
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		s := open(t, path, log.logger())
		synctest.Wait()
		remove(t, path)
		time.Sleep(lookInterval)
		synctest.Wait()
		log.want(t, event.StoreFailing, event.StoreRecovered)
		f := s.current()
		if f == nil || !isFile(path, f.f) {
			t.Error("the path names no file, or another than the one in use")
		}
		want(t, s, numbered(t, 1))
		closeStore(t, s)
	})
}

// No lookup misses an entry while one file takes the place of another.
func TestDisplacedUnderReaders(t *testing.T) {
	t.Parallel()
	path := filled(t)
	s := open(t, path, (&journal{}).logger())
	stop, read := make(chan struct{}), make(chan int)
	go func() {
		n := 0
		defer func() { read <- n }()
		for ; ; n++ {
			want(t, s, numbered(t, n%stored))
			select {
			case <-stop:
				return
			default:
			}
		}
	}()
	for range 10 {
		remove(t, path)
		flush(t, s)
	}
	close(stop)
	if n := <-read; n == 0 {
		t.Error("nothing was read meanwhile")
	}
}
