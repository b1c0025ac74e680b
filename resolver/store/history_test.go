package store

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	bolt "go.etcd.io/bbolt"
)

// wantChanges compares the details of the history since begin.
func wantChanges(t *testing.T, s *Store, since time.Time, want ...string) {
	t.Helper()
	var got []string
	changes, _ := s.Changes(since)
	for _, c := range changes {
		got = append(got, c.Detail)
	}
	if !slices.Equal(got, want) {
		t.Errorf("changes %q, want %q", got, want)
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	path := filename(t)
	full := Change{At: begin.Add(time.Second), Kind: ChangeDowngraded, Domain: domain(t, "example.com"),
		OldMode: "enforce", NewMode: "testing", Added: []string{"mx1.example.com", "*.example.net"},
		Removed: []string{"mx2.example.com"}, ID: "20260701", Detail: "b", Count: 7}
	for name, s := range map[string]*Store{
		"file":   open(t, path, (&journal{}).logger()),
		"memory": OpenMemory(machine().Clock()),
	} {
		wantChanges(t, s, begin)
		s.Record(Change{At: begin, Kind: ChangePurged, Detail: "a"})
		s.Record(full)
		s.Record(Change{At: begin.Add(2 * time.Second), Kind: ChangeFound, Detail: "c"})
		s.Record(Change{At: begin, Kind: lastKind + 1, Detail: "unknown"})
		for range 2 {
			wantChanges(t, s, begin, "c", "b", "a")
			wantChanges(t, s, begin.Add(time.Millisecond), "c", "b")
			changes, complete := s.Changes(begin)
			if diff := cmp.Diff(full, changes[1], sameEntry); diff != "" {
				t.Errorf("%s: -want +got:\n%s", name, diff)
			}
			if !complete.Equal(begin) {
				t.Errorf("%s: complete from %v, want %v", name, complete, begin)
			}
			if name == "file" {
				flush(t, s)
			}
		}
		closeStore(t, s)
	}
	s := open(t, path, (&journal{}).logger())
	wantChanges(t, s, begin, "c", "b", "a")
}

// A flood of one kind removes no change of another, and the history knows from when
// on it is complete.
func TestHistoryLimits(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	limit := int(ChangeFound.limit())
	s.Record(Change{At: begin, Kind: ChangeDowngraded, Detail: "downgrade"})
	for n := range limit + 10 {
		s.Record(Change{At: begin.Add(time.Duration(n+1) * time.Second), Kind: ChangeFound, Detail: fmt.Sprint(n)})
		if n%maxNews == maxNews-1 {
			flush(t, s)
		}
	}
	flush(t, s)
	for range 2 {
		changes, complete := s.Changes(time.Time{})
		if len(changes) != limit+1 || changes[limit].Detail != "downgrade" || changes[0].Detail != fmt.Sprint(limit+9) {
			t.Errorf("%d changes, from %q to %q", len(changes), changes[len(changes)-1].Detail, changes[0].Detail)
		}
		if want := begin.Add(11 * time.Second); !complete.Equal(want) {
			t.Errorf("complete from %v, want %v", complete, want)
		}
		closeStore(t, s)
		s = open(t, path, (&journal{}).logger())
	}
}

// The changes that wait to be written are bounded by kind, and complete says what
// was lost.
func TestHistoryWaiting(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	s.checks.Wait()
	release := stuck(t, s)
	s.Record(Change{At: begin, Kind: ChangeExpired, Detail: "expired"})
	for n := range maxNews + 3 {
		s.Record(Change{At: begin.Add(time.Duration(n) * time.Second), Kind: ChangeFound})
	}
	lost := begin.Add(2 * time.Second)
	check := func(most int) {
		t.Helper()
		changes, complete := s.Changes(time.Time{})
		expired := func(c Change) bool { return c.Detail == "expired" }
		if len(changes) < maxNews+1 || len(changes) > most || !slices.ContainsFunc(changes, expired) || !complete.Equal(lost) {
			t.Errorf("%d changes, complete from %v; want %d to %d from %v, with the one that expired", len(changes), complete, maxNews+1, most, lost)
		}
	}
	check(maxNews + 1)
	release()
	closeStore(t, s)
	s = open(t, path, (&journal{}).logger())
	check(maxNews + 4) // the writer may have been about to write some of those dropped
}

// Every reader finds every change recorded so far, once, also while the writer takes
// it to the file.
func TestHistoryWhileWriting(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	s.Record(Change{At: begin, Kind: ChangeFound})
	closeStore(t, s) // numbers of an earlier process
	s = open(t, path, (&journal{}).logger())
	var flushes sync.WaitGroup
	for n := range 300 {
		s.Record(Change{At: begin, Kind: ChangeFound})
		if n%5 == 0 {
			flushes.Go(func() { s.Flush() })
		}
		if changes, _ := s.Changes(begin); len(changes) != n+2 {
			t.Fatalf("%d changes, want %d", len(changes), n+2)
		}
	}
	flushes.Wait()
}

func TestHistoryBounds(t *testing.T) {
	t.Parallel()
	s := OpenMemory(machine().Clock())
	long := strings.Repeat("x", 300)
	s.Record(Change{At: begin, Kind: ChangeChanged, OldMode: long, Detail: long, Added: slices.Repeat([]string{long}, 100)})
	changes, _ := s.Changes(begin)
	c := changes[0]
	if len(c.OldMode) != 255 || len(c.Detail) != 255 || len(c.Added) != 64 || len(c.Added[63]) != 255 {
		t.Errorf("%d, %d, %d, %d", len(c.OldMode), len(c.Detail), len(c.Added), len(c.Added[63]))
	}
}

// A corrupt change is left out; the others stay.
func TestHistoryCorrupt(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	for _, detail := range []string{"a", "b", "c"} {
		s.Record(Change{At: begin, Kind: ChangeFound, Detail: detail})
	}
	closeStore(t, s)
	tamper(t, path, func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(historyBucket))
		key := historyKey(ChangeFound, 2)
		value := slices.Clone(b.Get(key))
		value[len(value)-1] ^= 1
		if err := b.Put([]byte("short"), value); err != nil {
			return err
		}
		return b.Put(key, value)
	})
	s = open(t, path, (&journal{}).logger())
	wantChanges(t, s, begin, "c", "a")
}

// The history goes over to the file that takes the place of another.
func TestHistoryDisplaced(t *testing.T) {
	t.Parallel()
	path := filename(t)
	log := &journal{}
	s := open(t, path, log.logger())
	s.checks.Wait()
	record := func(detail string, after time.Duration) {
		s.Record(Change{At: begin.Add(after), Kind: ChangeBroken, Detail: detail})
		flush(t, s)
	}
	record("a", 0)
	old, err := copyOf(path)
	if err != nil {
		t.Fatal(err)
	}
	record("b", time.Second)
	remove(t, path)
	record("c", 2*time.Second)
	wantChanges(t, s, begin, "c", "b", "a")
	if _, complete := s.Changes(begin); !complete.Equal(begin) {
		t.Errorf("complete from %v, want %v", complete, begin)
	}
	if err := old(); err != nil { // a backup takes its place
		t.Fatal(err)
	}
	record("d", 3*time.Second)
	wantChanges(t, s, begin, "d", "c", "b", "a")
	closeStore(t, s)
	s = open(t, path, log.logger())
	wantChanges(t, s, begin, "d", "c", "b", "a")
}

func FuzzDecodeChange(f *testing.F) {
	key := historyKey(ChangeChanged, 1)
	f.Add(encodeChange(key, Change{At: begin, OldMode: "enforce", Added: []string{"a", "b"}, Count: 3})[sumLen:])
	f.Fuzz(func(t *testing.T, fields []byte) {
		c, ok := decodeChange(key, seal(string(key), append(make([]byte, sumLen), fields...)))
		if !ok {
			return
		}
		for _, list := range []*[]string{&c.Added, &c.Removed} { // an empty pattern is left out
			*list = slices.DeleteFunc(*list, func(s string) bool { return s == "" })
		}
		again, ok := decodeChange(key, encodeChange(key, c))
		if diff := cmp.Diff(c, again, sameEntry); !ok || diff != "" {
			t.Errorf("-first +again:\n%s", diff)
		}
	})
}
