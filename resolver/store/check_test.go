package store

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"mta-sts-daemon/resolver/event"
)

// The check in the background finds a fault that no read would find: a page that is in
// use and in the list of free pages.
func TestBackgroundCheck(t *testing.T) {
	t.Parallel()
	path := filled(t)
	freeRoot(t, path)
	log := &journal{}
	s := open(t, path, log.logger())
	s.checks.Wait()
	flush(t, s)
	log.want(t, event.StoreDamaged)
	if n := s.Len(); n != 0 {
		t.Errorf("Len() = %d, want 0", n)
	}
}

// freeRoot puts a page that is in use into the file's newest list of free pages.
func freeRoot(t *testing.T, path string) {
	t.Helper()
	edit(t, path, func(b []byte) []byte {
		page := int64(os.Getpagesize())
		newest, _ := readMeta(bytes.NewReader(b), 0)
		if other, _ := readMeta(bytes.NewReader(b), page); other.commit > newest.commit {
			newest = other
		}
		free := b[int64(newest.freelist)*page:]
		if count := binary.NativeEndian.Uint16(free[10:]); count == 0 {
			t.Fatal("no page is free")
		}
		binary.NativeEndian.PutUint64(free[pageHeaderLen:], newest.root)
		return b
	})
}

// Whatever was put and deleted, the check finds nothing wrong with it.
func TestCheckAfterChurn(t *testing.T) {
	t.Parallel()
	s := open(t, filename(t), (&journal{}).logger())
	s.checks.Wait()
	random := rand.New(rand.NewPCG(1, 2))
	for round := range 40 {
		for range min(round*round, 300) {
			e := numbered(t, random.IntN(3000))
			e.Failures = random.IntN(2)
			if e.Next = at(time.Duration(random.IntN(5000)) * time.Second); random.IntN(3) == 0 {
				s.Delete(e.Domain)
			} else {
				s.Put(e)
			}
		}
		flush(t, s)
		s.view(s.current(), func(tb tables) {
			if found, err := tb.inspectAll(s.quit); err != nil || found.any() {
				t.Fatalf("round %d: %+v, %v", round, found, err)
			}
		})
		if s.check(s.current()); s.Err() != nil || s.current() == nil {
			t.Fatalf("round %d: the file is out of use: %v", round, s.Err())
		}
	}
}
