package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"os"
	"testing"
	"testing/synctest"
	"time"

	bolt "go.etcd.io/bbolt"

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

// Background work takes a quarter of the time, and ends while it rests.
func TestPace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		stop := make(chan struct{})
		p := newPace(stop)
		began := time.Now()
		for range 10 {
			time.Sleep(workTime)
			if err := p.step(); err != nil {
				t.Fatal(err)
			}
			if err := p.step(); err != nil { // no work, no rest
				t.Fatal(err)
			}
		}
		if took := time.Since(began); took != 10*(workTime+restTime) {
			t.Errorf("took %v, want %v", took, 10*(workTime+restTime))
		}
		time.AfterFunc(workTime+restTime/2, func() { close(stop) })
		time.Sleep(workTime)
		for range 2 {
			if err := p.step(); !errors.Is(err, errStopped) {
				t.Errorf("error %v, want %v", err, errStopped)
			}
		}
		if took := time.Since(began); took != 11*(workTime+restTime)-restTime/2 {
			t.Errorf("ended after %v", took)
		}
	})
}

// A file that is out of use is not checked to its end, because closing it waits for
// its check.
func TestCheckOfAFileOutOfUse(t *testing.T) {
	t.Parallel()
	path := filled(t)
	s := open(t, path, (&journal{}).logger())
	s.checks.Wait()
	f := s.current()
	const wrong = 3
	if err := f.update(func(tx *bolt.Tx) error { return putNumber(tables{tx: tx}.meta(), countKey, wrong) }); err != nil {
		t.Fatal(err)
	}
	use := func(f *file) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.file = f
	}
	use(nil)
	s.check(f)
	use(f)
	if flush(t, s); s.Len() != wrong {
		t.Error("it was checked")
	}
	s.check(f)
	if flush(t, s); s.Len() != stored {
		t.Error("it was not checked when it was in use")
	}
}
