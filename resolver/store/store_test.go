package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	for name, s := range map[string]*Store{
		"file":   open(t, filename(t), (&journal{}).logger()),
		"memory": OpenMemory(machine().Clock()),
	} {
		a, b := entry(t, "a.example"), entry(t, "b.example")
		wantNone(t, s, a.Domain)
		s.Put(a)
		want(t, s, a)
		flush(t, s)
		want(t, s, a)
		a.ID = "2"
		s.Put(a)
		s.Put(b)
		want(t, s, a)
		s.Delete(b.Domain)
		wantNone(t, s, b.Domain)
		if n := s.Len(); n != 1 {
			t.Errorf("%s: Len() = %d, want 1", name, n)
		}
		flush(t, s)
		want(t, s, a)
		wantNone(t, s, b.Domain)
		s.Delete(a.Domain)
		wantNone(t, s, a.Domain)
		if n := s.Len(); n != 0 {
			t.Errorf("%s: Len() = %d, want 0", name, n)
		}
		closeStore(t, s)
	}
}

func TestReopen(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "new", "dir", "policies.db")
	s := open(t, path, (&journal{}).logger())
	for _, name := range []string{path, filepath.Dir(path)} {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has mode %v, others may read it", name, info.Mode())
		}
	}
	a, b, gone := entry(t, "a.example"), entry(t, "b.example"), entry(t, "gone.example")
	b.Next = at(time.Millisecond)
	s.Put(a)
	s.Put(gone)
	flush(t, s)
	s.Put(b)
	s.Delete(gone.Domain)
	closeStore(t, s)
	closeStore(t, s) // again does no harm
	if err := s.Flush(); !errors.Is(err, errClosed) {
		t.Errorf("Flush after Close: %v, want errClosed", err)
	}

	log := &journal{}
	s = open(t, path, log.logger())
	want(t, s, a)
	want(t, s, b)
	wantNone(t, s, gone.Domain)
	if n := s.Len(); n != 2 {
		t.Errorf("Len() = %d, want 2", n)
	}
	if got, _ := s.Get(b.Domain); got.Next != at(time.Second) {
		t.Errorf("next %v: want it rounded up to %v", got.Next, at(time.Second))
	}
	closeStore(t, s)
	log.want(t)
}

// A new entry is on disk within a second, without a Flush.
func TestCommittedInTime(t *testing.T) {
	t.Parallel()
	s := open(t, filename(t), (&journal{}).logger())
	e := entry(t, "example.com")
	s.Put(e)
	for deadline := time.Now().Add(time.Second); ; time.Sleep(10 * time.Millisecond) {
		var there bool
		s.view(s.current(), func(tb tables) { there = tb.entries().Get([]byte(e.Domain.String())) != nil })
		if there {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("not in the file after a second")
		}
	}
}

// A burst is one commit or a few, each of which is two synchronous writes.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	s := open(t, filename(t), (&journal{}).logger())
	s.checks.Wait()
	before := lastCommit(t, s)
	var wg sync.WaitGroup
	for i := range 10 {
		wg.Go(func() {
			for j := range 100 {
				s.Put(numbered(t, 100*i+j))
			}
		})
	}
	wg.Wait()
	flush(t, s)
	if n := lastCommit(t, s) - before; n > 10 {
		t.Errorf("1000 entries took %d commits, want at most 10", n)
	}
	if n := s.Len(); n != 1000 {
		t.Errorf("Len() = %d, want 1000", n)
	}
}

func lastCommit(t *testing.T, s *Store) (id int) {
	t.Helper()
	err := s.current().view(func(tx *bolt.Tx) error {
		id = tx.ID()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func TestAll(t *testing.T) {
	t.Parallel()
	s := open(t, filename(t), (&journal{}).logger())
	wanted := map[string]string{}
	put := func(n int, id string) {
		e := numbered(t, n)
		e.ID = id
		s.Put(e)
		wanted[e.Domain.String()] = id
	}
	for n := range 2*maxChunk + 1 {
		put(n, "old")
	}
	flush(t, s)
	put(0, "new")
	put(maxChunk, "new")
	put(10_000, "new")
	s.Delete(numbered(t, 1).Domain)
	delete(wanted, numbered(t, 1).Domain.String())

	got := map[string]string{}
	for e := range s.All {
		if _, twice := got[e.Domain.String()]; twice {
			t.Errorf("%s comes twice", e.Domain)
		}
		got[e.Domain.String()] = e.ID
	}
	if fmt.Sprint(got) != fmt.Sprint(wanted) {
		t.Errorf("got %d entries, want %d: %v", len(got), len(wanted), got)
	}
	for range s.All {
		break // a consumer may stop
	}
}

func TestLocked(t *testing.T) {
	t.Parallel()
	path := filename(t)
	open(t, path, (&journal{}).logger())
	log := &journal{}
	if _, err := Open(path, machine().Clock(), log.logger()); !errors.Is(err, ErrLocked) {
		t.Errorf("a second Open: %v, want ErrLocked", err)
	}
	if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
		t.Errorf("a second Open left %q, want the file alone", names)
	}
	log.want(t)
}

func TestNotRegular(t *testing.T) {
	t.Parallel()
	path := t.TempDir()
	if _, err := Open(path, machine().Clock(), (&journal{}).logger()); !errors.Is(err, errNotRegular) {
		t.Errorf("Open of a directory: %v, want errNotRegular", err)
	}
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		t.Error("the directory is gone")
	}
}

// A store in memory is bounded, and has room again after a removal.
func TestPendingBound(t *testing.T) {
	t.Parallel()
	s := OpenMemory(machine().Clock())
	n := 0
	big := bigPolicy(t)
	last := func(n int) Entry {
		e := numbered(t, n)
		e.Policy = big
		return e
	}
	for ; n < maxPending/len(big.Text)+2; n++ {
		s.Put(last(n))
	}
	wantNone(t, s, last(n-1).Domain)
	want(t, s, last(0))
	if kept := s.Len(); kept >= n || kept < n-20 {
		t.Errorf("%d of %d entries kept", kept, n)
	}
	s.Delete(last(0).Domain)
	s.Put(last(n - 1))
	want(t, s, last(n-1))
}

func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	s := open(t, filename(t), (&journal{}).logger())
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			for j := range 200 {
				e := numbered(t, 1000*i+j)
				s.Put(e)
				want(t, s, e)
				if j%3 == 0 {
					s.Delete(e.Domain)
					wantNone(t, s, e.Domain)
				}
				if j%50 == 0 {
					flush(t, s)
					due(s, present)
					s.Len()
					for range s.All {
					}
				}
			}
		})
	}
	wg.Wait()
	if got, want := s.Len(), 4*(200-67); got != want {
		t.Errorf("Len() = %d, want %d", got, want)
	}
}
