package store

import (
	"flag"
	"os"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write testdata/version1.db anew, which only a new file of version 1 may need")

const version1 = "testdata/version1.db"

// version1Entries are what the file in testdata holds.
func version1Entries(tb testing.TB) []Entry {
	enforce := entry(tb, "enforce.example")
	none := entry(tb, "none.example")
	none.Policy = policy(tb, "version: STSv1\nmode: none\nmax_age: 86400\n")
	none.Next = time.Time{}
	failing := entry(tb, "xn--bcher-kva.example")
	failing.FailedID, failing.Failures, failing.RetryAt = "20260702", 3, begin.Add(20*time.Minute)
	failing.Next = failing.RetryAt
	return []Entry{enforce, none, failing}
}

// What the first version wrote is read for ever.
func TestVersion1(t *testing.T) {
	t.Parallel()
	if *update {
		writeVersion1(t)
	}
	b, err := os.ReadFile(version1)
	if err != nil {
		t.Fatal(err)
	}
	path := filename(t)
	if err := os.WriteFile(path, b, fileMode); err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	s := open(t, path, log.logger())
	s.checks.Wait()
	entries := version1Entries(t)
	for _, e := range entries {
		want(t, s, e)
	}
	if n := s.Len(); n != len(entries) {
		t.Errorf("Len() = %d, want %d", n, len(entries))
	}
	if due := s.Due(begin.Add(time.Hour), 10); len(due) != 1 || due[0].Domain != entries[2].Domain {
		t.Errorf("Due has %+v, want %s alone", due, entries[2].Domain)
	}
	s.Put(numbered(t, 1)) // and it can be written
	closeStore(t, s)
	log.want(t)
}

func writeVersion1(t *testing.T) {
	t.Helper()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	for _, e := range version1Entries(t) {
		s.Put(e)
	}
	flush(t, s)
	used := pages(t, s)
	closeStore(t, s)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(version1, b[:used], 0o644); err != nil {
		t.Fatal(err)
	}
}
