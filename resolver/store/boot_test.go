package store

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/clock/clocktest"
)

const day = 24 * time.Hour

// host is a machine whose time goes on when the test wants it to.
type host struct {
	*clocktest.Machine
	t       *testing.T
	elapsed atomic.Int64
	path    string
	clk     *clock.Clock // of the process under way
}

func newHost(t *testing.T) *host {
	h := &host{t: t, path: filename(t)}
	h.Machine = clocktest.NewMachine(h.now, "boot 1", uptime)
	return h
}

func (h *host) now() time.Time       { return begin.Add(time.Duration(h.elapsed.Load())) }
func (h *host) pass(d time.Duration) { h.elapsed.Add(int64(d)) }

// open starts a process that opens the file.
func (h *host) open() *Store {
	h.t.Helper()
	h.clk = h.Clock()
	s, err := Open(h.path, h.clk, (&journal{}).logger())
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(func() { s.Close() })
	return s
}

// step sets the wall clock, and the process notices.
func (h *host) step(by time.Duration) {
	h.t.Helper()
	h.SetWall(by)
	if !h.clk.Observe() {
		h.t.Fatal("the step was not noticed")
	}
}

// eventually waits until the writer's background work has made ok true.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what, "does not happen")
		}
	}
}

// restamped reports whether no value in the file has the stamp of another origin.
func restamped(s *Store) bool {
	ok := true
	s.view(s.current(), func(t tables) {
		t.entries().ForEach(func(k, v []byte) error {
			h, err := readHeader(string(k), v)
			ok = ok && (err != nil || h.boot != t.now.boot || h.origin == t.now.origin)
			return nil
		})
	})
	return ok
}

// Setting the clock changes nothing for policies fetched in this boot: neither at
// once nor after a restart, nor the order of due entries.
func TestStep(t *testing.T) {
	t.Parallel()
	for name, by := range map[string]time.Duration{"ahead": 60 * day, "back": -60 * day} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := newHost(t)
			s := h.open()
			const many = 3 * maxBatch
			for n := range many {
				e := numbered(t, n)
				e.Next = at(time.Duration(n) * time.Second)
				s.Put(e)
			}
			flush(t, s)
			check := func() {
				t.Helper()
				e := numbered(t, 5)
				e.Next = at(5 * time.Second)
				got, ok := s.Get(e.Domain)
				if !ok || !got.Fetched.Equal(e.Fetched) || got.Next != e.Next || got.Recheck != e.Recheck {
					t.Errorf("%+v, want %+v", got, e)
				}
				if wall := got.Fetched.Wall; !wall.Equal(begin.Add(by)) {
					t.Errorf("fetched at %v, want %v", wall, begin.Add(by))
				}
			}
			h.step(by)
			check()
			flush(t, s)
			eventually(t, "stamping again", func() bool { return restamped(s) })
			check()
			if got := due(s, at(9*time.Second)); len(got) != 10 || got[0].Domain != numbered(t, 0).Domain {
				t.Errorf("%d entries due, want 10", len(got))
			}
			closeStore(t, s)
			s = h.open()
			check()
			s.checks.Wait()
			if n := s.errors.Load(); n > 0 {
				t.Errorf("%d errors", n)
			}
			closeStore(t, s)

			// The next boot, with a right clock, knows when the fetch was.
			h.pass(time.Hour)
			h.Reboot("boot 2", by)
			s = h.open()
			if got, _ := s.Get(numbered(t, 5).Domain); got.Fetched.ThisBoot || got.Fetched.Moment(h.clk.Origin()) != -clock.Moment(time.Hour) {
				t.Errorf("in the next boot: fetched %+v, want an hour before it", got.Fetched)
			}
		})
	}
}

// A clock that was set while the daemon was down changes nothing either.
func TestStepWhileDown(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.open()
	s.Put(numbered(t, 1))
	closeStore(t, s)
	h.pass(time.Minute)
	h.SetWall(-90 * day)
	s = h.open()
	want(t, s, numbered(t, 1))
	if got := s.SteadySince(); got != at(time.Minute) {
		t.Errorf("steady since %v, want the start of the daemon", got)
	}
	eventually(t, "stamping again", func() bool { return restamped(s) })
	want(t, s, numbered(t, 1))
	if got := due(s, at(day)); len(got) != 1 {
		t.Errorf("%d entries due, want 1", len(got))
	}
	closeStore(t, s)
	s = h.open()
	if got := s.SteadySince(); got != at(time.Minute) {
		t.Errorf("steady since %v after a restart, want the start before it", got)
	}
}

// A clock that was set back while the daemon was down delays nothing, although the file cannot be
// written.
func TestStepBackWithReadOnlyDisk(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	dir := disk(t, "size=2m")
	h.path = filepath.Join(dir, "policies.db")
	s := h.open()
	s.Put(numbered(t, 1))
	closeStore(t, s)
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("cannot make the disk read-only here: %v", err)
	}
	h.SetWall(-90 * day)
	s = h.open()
	want(t, s, numbered(t, 1))
	for range 2 {
		if got := due(s, at(day-time.Minute)); len(got) != 0 {
			t.Errorf("%d entries due too early", len(got))
		}
		if got := due(s, at(day)); len(got) != 1 {
			t.Errorf("%d entries due, want 1", len(got))
		}
		h.step(-day)
	}
}

// Stamping again goes on after a restart in the middle.
func TestStampingIsInterrupted(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.open()
	for n := range 2 * walkPiece {
		s.Put(numbered(t, n))
	}
	closeStore(t, s)
	h.SetWall(-90 * day)
	for range 3 {
		s = h.open()
		closeStore(t, s)
	}
	s = h.open()
	eventually(t, "stamping again", func() bool { return restamped(s) })
}

// An entry of an earlier boot is judged by the wall clock, and again when it steps.
func TestEarlierBoot(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.open()
	s.Put(numbered(t, 1))
	closeStore(t, s)
	h.pass(time.Hour)
	h.Reboot("boot 2", 12*day) // with a wrong clock
	s = h.open()
	fetched := func(want time.Duration) {
		t.Helper()
		got, ok := s.Get(numbered(t, 1).Domain)
		if !ok || got.Fetched.ThisBoot || got.Fetched.Moment(h.clk.Origin()) != clock.Moment(want) {
			t.Errorf("fetched %+v at %v, want %v", got.Fetched, got.Fetched.Moment(h.clk.Origin()), clock.Moment(want))
		}
	}
	fetched(-12*day - time.Hour)
	if got := due(s, 1); len(got) != 1 {
		t.Errorf("%d entries due by the wrong clock, want 1", len(got))
	}
	h.step(-12 * day)
	fetched(-time.Hour)
	if got := due(s, 1); len(got) != 0 {
		t.Errorf("%d entries due, want none", len(got))
	}
	// Writing the entry again in this boot does not change the boot of its fetch.
	e, _ := s.Get(numbered(t, 1).Domain)
	e.Used = 1
	s.Put(e)
	flush(t, s)
	fetched(-time.Hour)
	closeStore(t, s)
	s = h.open()
	fetched(-time.Hour)
}

func TestSteadySince(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	var s *Store
	restart := func() {
		if s != nil {
			closeStore(t, s)
		}
		h.pass(time.Hour)
		s = h.open()
	}
	wantSince := func(want clock.Moment) {
		t.Helper()
		if got := s.SteadySince(); got != want {
			t.Errorf("steady since %v, want %v", got, want)
		}
	}
	restart()
	wantSince(at(time.Hour)) // the daemon has not seen the time before
	restart()
	wantSince(at(time.Hour))
	h.pass(time.Hour)
	h.SetWall(4 * time.Minute) // no step
	h.clk.Observe()
	restart()
	wantSince(at(time.Hour))
	h.SetWall(2 * time.Minute) // with the one before it is
	if h.clk.Observe() {
		t.Fatal("this process has seen only two minutes")
	}
	restart()
	wantSince(at(5 * time.Hour))
	h.pass(time.Hour)
	h.step(-day)
	h.pass(time.Hour)
	wantSince(at(6 * time.Hour))
	flush(t, s)
	eventually(t, "taking over the step", func() (done bool) {
		s.view(s.current(), func(tb tables) { done = number(tb.meta(), originKey) == uint64(tb.now.origin) })
		return done
	})
	restart()
	wantSince(at(6 * time.Hour))
	h.Suspend(10 * time.Hour)
	h.clk.Observe()
	restart()
	wantSince(at(6 * time.Hour))
	closeStore(t, s)
	h.pass(time.Hour)
	h.Reboot("boot 2", 0)
	s = h.open()
	wantSince(0)

	h.clk.Observe()
	if got := OpenMemory(h.clk).SteadySince(); got != 0 {
		t.Errorf("in memory: steady since %v, want 0", got)
	}
}

// A file restored from a backup, or moved to another host, has stamps of other
// boots, whatever their numbers are.
func TestMovedFile(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	closeStore(t, h.open()) // boot 1 is number 1 here too
	other := newHost(t)
	other.Reboot("boot of another host", 0)
	s := other.open()
	e := numbered(t, 1)
	e.Fetched = Fetched{At: 0, ThisBoot: true}
	s.Put(e)
	closeStore(t, s)
	h.pass(time.Hour)
	h.path = other.path
	s = h.open()
	got, ok := s.Get(e.Domain)
	if wanted := (Fetched{Wall: begin}); !ok || got.Fetched != wanted {
		t.Errorf("fetched %+v, want %+v", got.Fetched, wanted)
	}
}

// A file that takes the place of another before that was stamped again has new stamps alone.
func TestNewFileAfterAStepBack(t *testing.T) {
	t.Parallel()
	h := newHost(t)
	s := h.open()
	s.Put(numbered(t, 1))
	flush(t, s)
	h.step(-90 * day)
	if err := os.Remove(h.path); err != nil {
		t.Fatal(err)
	}
	flush(t, s)
	s.view(s.current(), func(tables tables) {
		if tables.ahead != 0 {
			t.Errorf("stamps may be ahead by %d s", tables.ahead)
		}
	})
	want(t, s, numbered(t, 1))
}
