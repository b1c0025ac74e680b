package store

import (
	"encoding/binary"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"mta-sts-daemon/resolver/event"
)

// bbolt's own check runs behind the start and finds what no read would: here a
// page that is in use and in the list of free ones.
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

// freeRoot turns an id in the file's newest list of free pages into that of a
// page in use.
func freeRoot(t *testing.T, path string) {
	t.Helper()
	edit(t, path, func(b []byte) []byte {
		const freelistAt, txidAt = pageHeaderLen + 32, pageHeaderLen + 48
		order, page := binary.NativeEndian, os.Getpagesize()
		meta := b
		if order.Uint64(b[page+txidAt:]) > order.Uint64(b[txidAt:]) {
			meta = b[page:]
		}
		root, list := order.Uint64(meta[pageHeaderLen+16:]), order.Uint64(meta[freelistAt:])
		free := b[int(list)*page:]
		if order.Uint16(free[10:]) == 0 {
			t.Fatal("no page is free")
		}
		order.PutUint64(free[pageHeaderLen:], root)
		return b
	})
}

// Whatever was put and deleted, the check finds nothing wrong with it.
func TestCheckAfterChurn(t *testing.T) {
	t.Parallel()
	log := &journal{}
	s := open(t, filename(t), log.logger())
	s.checks.Wait()
	random := rand.New(rand.NewPCG(1, 2))
	for range 40 {
		for range 300 {
			e := numbered(t, random.IntN(3000))
			e.Failures = random.IntN(2)
			if e.Next = at(time.Duration(random.IntN(5000)) * time.Second); random.IntN(3) == 0 {
				s.Delete(e.Domain)
			} else {
				s.Put(e)
			}
		}
		flush(t, s)
		s.check(s.current())
	}
	flush(t, s)
	log.want(t)
}
