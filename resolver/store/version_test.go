package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/event"
)

// oldEntries are the entries of the files in testdata, as another machine reads them
// in a boot that began at begin. schema1.db was written by the last
// daemon of schema 1, version1.db by the first, which stored no verdicts.
func oldEntries(tb testing.TB, verdicts bool) []Entry {
	earlier := func(name string) Entry {
		e := entry(tb, name)
		e.Fetched = Fetched{Wall: begin}
		e.Recheck, e.Used, e.Next = clock.Moment(time.Hour), 1, clock.Moment(24*time.Hour) // 0 is "not set"
		return e
	}
	enforce := earlier("enforce.example")
	if verdicts {
		enforce.Verdicts = []Verdict{{MX: true, Port: 25, Kind: 2, Until: clock.Moment(time.Hour)},
			{Port: 587, Kind: 1, Until: clock.Moment(30 * time.Minute)}}
	}
	none := earlier("none.example")
	none.Policy = policy(tb, "version: STSv1\nmode: none\nmax_age: 86400\n")
	none.Next = 0
	failing := earlier("xn--bcher-kva.example")
	failing.FailedID, failing.Failures, failing.RetryAt = "20260702", 3, clock.Moment(20*time.Minute)
	failing.Next = failing.RetryAt
	return []Entry{enforce, none, failing}
}

// putOld copies a file of testdata.
func putOld(t *testing.T, name, path string) (content []byte) {
	t.Helper()
	content, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, content, fileMode); err != nil {
		t.Fatal(err)
	}
	return content
}

// openBooted opens the file on a machine that has booted at begin.
func openBooted(t *testing.T, path string, log *journal) *Store {
	t.Helper()
	m := machine()
	m.Reboot("boot of another machine", 0)
	s, err := Open(path, m.Clock(), log.logger())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func wantOld(t *testing.T, s *Store, verdicts bool) {
	t.Helper()
	entries := oldEntries(t, verdicts)
	for _, e := range entries {
		want(t, s, e)
	}
	if n := s.Len(); n != len(entries) {
		t.Errorf("Len() = %d, want %d", n, len(entries))
	}
}

// A file of an earlier version is read and upgraded, and a copy is kept for the way
// back.
func TestOldFiles(t *testing.T) {
	t.Parallel()
	for name, verdicts := range map[string]bool{"version1.db": false, "schema1.db": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filename(t)
			old := putOld(t, name, path)
			log := &journal{}
			s := openBooted(t, path, log)
			wantOld(t, s, verdicts)
			s.checks.Wait()
			flush(t, s)
			for range 2 {
				wantOld(t, s, verdicts)
				failing := oldEntries(t, verdicts)[2]
				var got []string
				s.Due(clock.Moment(time.Hour), true, func(e Entry) bool {
					got = append(got, e.Domain.String())
					return true
				})
				if len(got) != 1 || got[0] != failing.Domain.String() {
					t.Errorf("failing entries that are due: %q, want %s alone", got, failing.Domain)
				}
				if due := due(s, clock.Moment(time.Hour)); len(due) > 0 {
					t.Errorf("due as healthy: %+v", due)
				}
				if _, complete := s.Changes(time.Time{}); !complete.Equal(begin) {
					t.Errorf("the history is complete from %v, want %v", complete, begin)
				}
				closeStore(t, s)
				if kept, err := os.ReadFile(path + ".schema-1"); err != nil || !bytes.Equal(kept, old) {
					t.Errorf("the copy differs from the old file, or: %v", err)
				}
				s = openBooted(t, path, log)
			}
			e := oldEntries(t, verdicts)[0] // and it can be written
			e.Fetched = Fetched{At: clock.Moment(time.Second), ThisBoot: true}
			s.Put(e)
			closeStore(t, s)
			s = openBooted(t, path, log)
			want(t, s, e)
			s.checks.Wait()
			flush(t, s)
			log.want(t)
		})
	}
}

// Without room for a copy the upgrade goes on, with one warning.
func TestOldFileWithoutCopy(t *testing.T) {
	t.Parallel()
	path := filename(t)
	putOld(t, "schema1.db", path)
	if err := os.Mkdir(path+".schema-1", dirMode); err != nil { // a file cannot take its place
		t.Fatal(err)
	}
	log := &journal{}
	s := openBooted(t, path, log)
	wantOld(t, s, true)
	closeStore(t, s)
	s = openBooted(t, path, log)
	wantOld(t, s, true)
	closeStore(t, s)
	log.want(t, event.StoreNotCopied)
	if left, _ := filepath.Glob(path + "*.part"); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A file of schema 1 that cannot be written serves as it is.
func TestOldFileReadOnly(t *testing.T) {
	t.Parallel()
	dir := disk(t, "size=2m")
	path := filepath.Join(dir, "policies.db")
	putOld(t, "schema1.db", path)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	log := &journal{}
	s := openBooted(t, path, log)
	s.checks.Wait()
	wantOld(t, s, true)
	s.PurgeAll(1)
	s.Changes(time.Time{})
	due(s, clock.Moment(time.Hour))
	if n := s.Len(); n != 0 {
		t.Errorf("Len() = %d after a purge", n)
	}
	if err := s.Flush(); !errors.Is(err, syscall.EROFS) {
		t.Errorf("Flush: %v, want EROFS", err)
	}
	log.want(t, event.StoreFailing)
}

// On a full disk no copy can be made. A file of schema 1 serves, whether its own free
// pages are enough for the upgrade or not.
func TestOldFileOnFullDisk(t *testing.T) {
	t.Parallel()
	dir := disk(t, "size=64k")
	path := filepath.Join(dir, "policies.db")
	putOld(t, "schema1.db", path)
	filler := fillDisk(t, dir)
	log := &journal{}
	s := openBooted(t, path, log)
	for range 2 {
		wantOld(t, s, true)
		if err := s.Flush(); err != nil && !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Flush: %v", err)
		}
	}
	wantOld(t, s, true)
	remove(t, filler)
	flush(t, s)
	wantOld(t, s, true)
	closeStore(t, s)
	s = openBooted(t, path, log)
	wantOld(t, s, true)
	log.mu.Lock()
	defer log.mu.Unlock()
	if log.events[0] != event.StoreNotCopied {
		t.Errorf("events %v, want StoreNotCopied first", log.events)
	}
}
