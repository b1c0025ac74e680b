package store

import (
	"fmt"
	"math/bits"
	"os"
	"path/filepath"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// openSmall opens the file with sizes for tests.
func openSmall(t *testing.T, path string) *Store {
	t.Helper()
	s, err := openSized(path, machine().Clock(), (&journal{}).logger(), smallSizes())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func smallSizes() sizes { return sizes{mapped: 1 << 15, compacted: 1 << 19} }

func sizeOf(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// While a check reads the file, the file grows past a mapping of its size at the
// start, and readers and the writer go on.
func TestGrowthDuringCheck(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	for n := range 5000 {
		s.Put(numbered(t, n))
	}
	closeStore(t, s)
	s = openSmall(t, path)
	s.checks.Wait()
	begun, end, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		ended <- s.current().view(func(*bolt.Tx) error {
			close(begun)
			<-end
			return nil
		})
	}()
	<-begun
	size := sizeOf(t, path)
	mapped := int64(1) << bits.Len64(uint64(size-1)) // bbolt maps powers of two
	if 2*size <= mapped {
		t.Fatalf("%d bytes grow past nothing", size)
	}
	for n := 5000; pages(t, s) <= mapped; n += 100 {
		for more := range 100 {
			s.Put(numbered(t, n+more))
		}
		flush(t, s)
		want(t, s, numbered(t, n))
		want(t, s, numbered(t, 1))
	}
	close(end)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A file that is more than half free is compacted at the start. Readers and writers
// go on meanwhile, and everything is there afterwards.
func TestCompact(t *testing.T) {
	t.Parallel()
	path := filename(t)
	wasteful(t, path)
	before := sizeOf(t, path)
	if err := os.WriteFile(path+compactSuffix, []byte("left by a crash"), fileMode); err != nil {
		t.Fatal(err)
	}
	s := openSmall(t, path)
	s.Put(numbered(t, wasted))
	eventually(t, "compaction", func() bool {
		want(t, s, numbered(t, 7))
		n := 0
		for range s.All {
			n++
		}
		if n != stored+1 {
			t.Fatalf("All has %d entries, want %d", n, stored+1)
		}
		return sizeOf(t, path) < before/2
	})
	for range 2 {
		s.Put(numbered(t, wasted+1))
		flush(t, s)
		s.Delete(numbered(t, wasted+1).Domain)
		flush(t, s)
		for n := range stored {
			want(t, s, numbered(t, n))
		}
		want(t, s, numbered(t, wasted))
		wantChanges(t, s, begin, "kept")
		if n := s.Len(); n != stored+1 {
			t.Errorf("Len() = %d, want %d", n, stored+1)
		}
		if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
			t.Errorf("files %q, want one", names)
		}
		if n := s.errors.Load(); n > 0 {
			t.Errorf("%d errors", n)
		}
		closeStore(t, s)
		s = openSmall(t, path)
		s.checks.Wait()
	}
}

// Without room for a smaller file the one in use stays.
func TestCompactOnFullDisk(t *testing.T) {
	t.Parallel()
	source := filename(t)
	wasteful(t, source)
	dir := disk(t, fmt.Sprintf("size=%d", sizeOf(t, source)+64<<10))
	path := filepath.Join(dir, "policies.db")
	b, err := os.ReadFile(source)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, b, fileMode); err != nil {
		t.Fatal(err)
	}
	s := openSmall(t, path)
	s.checks.Wait()
	eventually(t, "an attempt", func() bool { return !s.compact.Load() })
	flush(t, s) // after the attempt
	for n := range stored {
		want(t, s, numbered(t, n))
	}
	s.Delete(numbered(t, 0).Domain)
	closeStore(t, s)
	if names, _ := filepath.Glob(path + "*"); len(names) != 1 {
		t.Errorf("files %q, want one", names)
	}
	s = openSmall(t, path)
	if n := s.Len(); n != stored-1 {
		t.Errorf("Len() = %d, want %d", n, stored-1)
	}
}

const wasted = 6000

// wasteful makes a policy file of stored entries that has held many more.
func wasteful(t *testing.T, path string) {
	t.Helper()
	s := open(t, path, (&journal{}).logger())
	for n := range wasted {
		s.Put(numbered(t, n))
	}
	s.Record(Change{At: begin, Kind: ChangeFound, Detail: "kept"})
	flush(t, s)
	for n := stored; n < wasted; n++ {
		s.Delete(numbered(t, n).Domain)
	}
	closeStore(t, s)
}

// A daemon that is killed while it compacts leaves one good file.
func TestKillWhileCompacting(t *testing.T) {
	t.Parallel()
	source := filename(t)
	wasteful(t, source)
	restore, err := copyOf(source)
	if err != nil {
		t.Fatal(err)
	}
	compacted := 0
	const rounds = 12
	for round := range rounds {
		if err := restore(); err != nil {
			t.Fatal(err)
		}
		before := sizeOf(t, source)
		runAndKill(t, source, time.Duration(4*round)*time.Millisecond)
		if sizeOf(t, source) < before/2 {
			compacted++
		}
		wantSound(t, source, stored)
	}
	t.Logf("compacted in %d of %d rounds", compacted, rounds)
}

// Pages of removed entries are used again, whether each was deleted or a purge removed
// all: the file does not grow with the number of rounds.
func TestBoundedFile(t *testing.T) {
	t.Parallel()
	const rounds, each = 20, 1000
	for name, remove := range map[string]func(s *Store, round int){
		"deleted": func(s *Store, round int) {
			for n := range each {
				s.Delete(numbered(t, round*each+n).Domain)
			}
		},
		"purged": func(s *Store, round int) { s.PurgeAll(uint64(round + 1)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filename(t)
			s := open(t, path, (&journal{}).logger())
			var early int64
			for round := range rounds {
				for n := range each {
					e := numbered(t, round*each+n)
					e.Purges = uint64(round)
					s.Put(e)
				}
				flush(t, s)
				remove(s, round)
				flush(t, s)
				eventually(t, "removal", func() bool { return raw(s) == 0 })
				if round == 1 {
					early = pages(t, s)
				}
			}
			if late := pages(t, s); late > 2*early {
				t.Errorf("%d bytes in use after %d rounds, %d after two", late, rounds, early)
			}
			if n := sizeOf(t, path); n > 32<<20 {
				t.Errorf("the file has %d bytes", n)
			}
			if n := s.Len(); n != 0 {
				t.Errorf("Len() = %d, want 0", n)
			}
		})
	}
}

// pages returns how many bytes of the file have ever been used.
func pages(t *testing.T, s *Store) (size int64) {
	t.Helper()
	err := s.current().view(func(tx *bolt.Tx) error {
		size = tx.Size()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return size
}
