package store

import (
	"errors"
	"os"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/clock"
)

// raw counts the entries of the file, void ones included.
func raw(s *Store) (n int) {
	s.view(s.current(), func(t tables) { n = t.entries().Stats().KeyN })
	return n
}

// wantVoid checks that no reader finds an entry, except those in found.
func wantVoid(t *testing.T, s *Store, entries int, found ...Entry) {
	t.Helper()
	for n := range entries {
		wantNone(t, s, numbered(t, n).Domain)
	}
	for _, e := range found {
		want(t, s, e)
	}
	all := 0
	for range s.All {
		all++
	}
	if n, due := s.Len(), len(due(s, clock.Never-1)); n != len(found) || all != len(found) || due != len(found) {
		t.Errorf("Len() = %d, All has %d, Due %d; want %d", n, all, due, len(found))
	}
}

// A purge of all takes effect at once, whatever waits, and for good.
func TestPurgeAll(t *testing.T) {
	t.Parallel()
	const inFile, waiting, number = 3 * maxBatch, 100, 7
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	for n := range inFile {
		e := numbered(t, n)
		e.Purges = uint64(n % number)
		s.Put(e)
	}
	flush(t, s)
	for n := range waiting {
		s.Put(numbered(t, inFile+n))
	}
	s.PurgeAll(number)
	wantVoid(t, s, inFile+waiting)
	fresh := numbered(t, 0)
	fresh.Purges = number
	s.Put(fresh)
	want(t, s, fresh)
	late := numbered(t, 1) // its fetch began before the purge
	late.Purges = number - 1
	s.Put(late)
	wantNone(t, s, late.Domain)
	s.Delete(fresh.Domain)
	other := numbered(t, inFile+waiting)
	other.Purges = number
	s.Put(other)
	for range 2 {
		wantVoid(t, s, inFile+waiting, other)
		if n := s.Purges(); n != number {
			t.Errorf("Purges() = %d, want %d", n, number)
		}
		closeStore(t, s)
		s = open(t, path, (&journal{}).logger())
	}
	flush(t, s)
	eventually(t, "removal", func() bool { return raw(s) == 1 })
	s.PurgeAll(number - 1) // later than it should be: it has no effect any more
	wantVoid(t, s, inFile+waiting, other)
	flush(t, s)
	s.check(s.current())
	flush(t, s)
	if n := s.errors.Load(); n > 0 || s.repair.Load() {
		t.Errorf("%d errors", n)
	}
}

// A piece of the removal that could not be written is tried again.
func TestRemovalFails(t *testing.T) {
	t.Parallel()
	const many = 3 * maxBatch
	s := newStore(filename(t), machine().Clock(), (&journal{}).logger())
	w := &writer{Store: s, first: true} // works only when the test calls it
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(w.open())
	for n := range many {
		s.Put(numbered(t, n))
	}
	must(w.sync())
	s.PurgeAll(1)
	f := s.current()
	full := errors.New("the disk is full")
	w.walkDue(f)
	f.unwritable = full
	if err := w.step(f); !errors.Is(err, full) {
		t.Fatalf("a piece on a full disk: %v", err)
	}
	for f.unwritable = nil; w.walkDue(f); {
		must(w.step(f))
	}
	if n := raw(s); n != 0 {
		t.Errorf("%d entries are left", n)
	}
	s.checks.Wait()
	must(f.close())
}

func TestPurgeAllInMemory(t *testing.T) {
	t.Parallel()
	s := OpenMemory(machine().Clock())
	s.Put(numbered(t, 0))
	kept := numbered(t, 1)
	kept.Purges = 2
	s.Put(kept)
	s.PurgeAll(2)
	wantVoid(t, s, 1, kept)
}

func TestRaisePurges(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	s.Put(numbered(t, 1))
	s.RaisePurges(5)
	s.RaisePurges(3)
	for range 2 {
		if n := s.Purges(); n != 5 {
			t.Errorf("Purges() = %d, want 5", n)
		}
		want(t, s, numbered(t, 1)) // only PurgeAll voids
		closeStore(t, s)
		s = open(t, path, (&journal{}).logger())
	}
}

// stuck keeps the writer from writing until the function that it returns is called.
func stuck(t *testing.T, s *Store) (release func()) {
	t.Helper()
	tx, err := s.current().db.Begin(true)
	if err != nil {
		t.Fatal(err)
	}
	return func() {
		if err := tx.Rollback(); err != nil {
			t.Error(err)
		}
	}
}

// When no more can wait, a removal and a replacement still count, and an entry
// whose times alone have changed stays.
func TestRoom(t *testing.T) {
	t.Parallel()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	s.checks.Wait()
	deleted, replaced, used := entry(t, "deleted.example"), entry(t, "replaced.example"), entry(t, "used.example")
	waits, twice := entry(t, "waits.example"), entry(t, "twice.example")
	for _, e := range []Entry{deleted, replaced, used, twice} {
		s.Put(e)
	}
	flush(t, s)
	release := stuck(t, s)
	s.Put(waits)
	big := bigPolicy(t)
	for n := range maxPending/len(big.Text) + 2 {
		e := numbered(t, n)
		e.Policy = big
		s.Put(e)
	}
	filler := numbered(t, 0)
	filler.Policy = big
	want(t, s, filler)

	check := func() {
		t.Helper()
		wantNone(t, s, deleted.Domain)
		wantNone(t, s, replaced.Domain)
		wantNone(t, s, waits.Domain)
		wantNone(t, s, twice.Domain)
		want(t, s, used)
		wantNone(t, s, domain(t, "new.example"))
	}
	another := func(e Entry) Entry {
		e.Fetched.At += clock.Moment(time.Second)
		e.Policy = big
		return e
	}
	s.Delete(deleted.Domain)
	s.Put(another(replaced))
	s.Put(another(waits))
	later := used
	later.Policy, later.Used = big, at(time.Minute) // of the same fetch
	s.Put(later)
	s.Put(another(entry(t, "new.example")))
	s.Put(another(twice))
	s.Put(another(another(twice))) // its removal waits already
	check()
	s.PurgeAll(1)
	fresh := entry(t, "fresh.example")
	fresh.Purges, fresh.Policy = 1, big
	s.Put(fresh) // for there is room now
	wantVoid(t, s, 1, fresh)

	release()
	closeStore(t, s)
	s = open(t, path, (&journal{}).logger())
	wantVoid(t, s, 1, fresh)
}

// The purges in a file that takes the place of another void entries of that file,
// and none that this process has fetched.
func TestPurgesOfAnotherFile(t *testing.T) {
	t.Parallel()
	path, other := filename(t), filename(t)
	alone := numbered(t, 2)
	alone.Purges = 7
	s := open(t, other, (&journal{}).logger())
	s.Put(numbered(t, 1))
	s.Put(alone)
	closeStore(t, s)
	tamper(t, other, func(tx *bolt.Tx) error { // as after a crash just after PurgeAll(7)
		return errors.Join(putNumber(tx.Bucket([]byte(metaBucket)), purgedKey, 7),
			putNumber(tx.Bucket([]byte(metaBucket)), purgesKey, 7))
	})

	s = open(t, path, (&journal{}).logger())
	s.Put(numbered(t, 3))
	flush(t, s)
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	s.Put(numbered(t, 4))
	flush(t, s)
	for range 2 {
		wantNone(t, s, numbered(t, 1).Domain)
		for _, e := range []Entry{alone, numbered(t, 3), numbered(t, 4)} {
			want(t, s, e)
		}
		if n := s.Purges(); n != 7 {
			t.Errorf("Purges() = %d, want 7", n)
		}
		closeStore(t, s)
		s = open(t, path, (&journal{}).logger())
	}
}
