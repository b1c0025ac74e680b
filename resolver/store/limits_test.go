package store

import (
	"os"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// Pages of removed entries are used again.
func TestBoundedFile(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	size := func() int64 {
		t.Helper()
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	const rounds, each = 20, 1000
	var early int64
	for round := range rounds {
		for n := range each {
			s.Put(numbered(t, round*each+n))
		}
		flush(t, s)
		for n := range each {
			s.Delete(numbered(t, round*each+n).Domain)
		}
		flush(t, s)
		if round == 1 {
			early = pages(t, s)
		}
	}
	if late := pages(t, s); late > 2*early {
		t.Errorf("%d bytes in use after %d rounds, %d after two", late, rounds, early)
	}
	if n := size(); n > 32<<20 {
		t.Errorf("the file has %d bytes", n)
	}
	if n := s.Len(); n != 0 {
		t.Errorf("Len() = %d, want 0", n)
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
