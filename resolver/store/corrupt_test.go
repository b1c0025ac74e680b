package store

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime/debug"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
)

const stored = 500

// filled makes a policy file of so many entries and returns its path.
func filled(t *testing.T) string {
	t.Helper()
	path := filename(t)
	s := open(t, path, (&journal{}).logger())
	for n := range stored {
		s.Put(numbered(t, n))
	}
	closeStore(t, s)
	return path
}

// edit changes the bytes of a file that nobody uses.
func edit(t *testing.T, path string, change func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), fileMode); err != nil {
		t.Fatal(err)
	}
}

// tamper changes the buckets of a file that nobody uses.
func tamper(t *testing.T, path string, change func(*bolt.Tx) error) {
	t.Helper()
	db, err := bolt.Open(path, fileMode, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(change); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

func asides(t *testing.T, path string) []string {
	t.Helper()
	names, err := filepath.Glob(path + ".damaged-*")
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// A file that cannot be used at the start is set aside as it is, with one
// warning, and the daemon starts with a new one that keeps new entries.
func TestUnusableFile(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func(t *testing.T, path string){
		"text":      func(t *testing.T, path string) { edit(t, path, func([]byte) []byte { return []byte("policies\n") }) },
		"zeros":     func(t *testing.T, path string) { edit(t, path, func(b []byte) []byte { return make([]byte, len(b)) }) },
		"truncated": func(t *testing.T, path string) { edit(t, path, func(b []byte) []byte { return b[:16<<12] }) },
		"one page":  func(t *testing.T, path string) { edit(t, path, func(b []byte) []byte { return b[:4096] }) },
		"no root page": func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte {
				clear(b[2*os.Getpagesize():])
				return b
			})
		},
		"newer schema": func(t *testing.T, path string) {
			tamper(t, path, func(tx *bolt.Tx) error {
				return putNumber(tx.Bucket([]byte(metaBucket)), schemaKey, schemaVersion+1)
			})
		},
		"no schema": func(t *testing.T, path string) {
			tamper(t, path, func(tx *bolt.Tx) error { return tx.Bucket([]byte(metaBucket)).Delete([]byte(schemaKey)) })
		},
		"no index": func(t *testing.T, path string) {
			tamper(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(failingBucket)) })
		},
		"another program's": func(t *testing.T, path string) {
			tamper(t, path, func(tx *bolt.Tx) error { return tx.DeleteBucket([]byte(metaBucket)) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filled(t)
			corrupt(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			log := &journal{}
			s := open(t, path, log.logger())
			log.want(t, event.StoreDamaged)
			names := asides(t, path)
			if len(names) != 1 {
				t.Fatalf("set aside as %q, want one", names)
			}
			if after, err := os.ReadFile(names[0]); err != nil || !bytes.Equal(before, after) {
				t.Errorf("what was set aside is not what was there: %v", err)
			}
			s.Put(numbered(t, 1))
			closeStore(t, s)
			s = open(t, path, log.logger())
			want(t, s, numbered(t, 1))
			if n := s.Len(); n != 1 {
				t.Errorf("Len() = %d, want 1", n)
			}
			log.want(t, event.StoreDamaged)
		})
	}
}

// A daemon that was killed just after it created the file leaves one without
// buckets, which is as good as a new one.
func TestFileWithoutBuckets(t *testing.T) {
	t.Parallel()
	path := filename(t)
	tamper(t, path, func(*bolt.Tx) error { return nil })
	log := &journal{}
	s := open(t, path, log.logger())
	s.Put(numbered(t, 1))
	closeStore(t, s)
	s = open(t, path, log.logger())
	want(t, s, numbered(t, 1))
	log.want(t)
}

// A file that loses its pages under the daemon is set aside when that shows;
// the daemon goes on, with the entries that it had not yet written.
func TestCorruptWhileInUse(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func(f *os.File, size int64) error{
		"truncated":         func(f *os.File, _ int64) error { return f.Truncate(16 << 12) },
		"truncated to none": func(f *os.File, _ int64) error { return f.Truncate(0) },
		"overwritten": func(f *os.File, size int64) error {
			page := int64(os.Getpagesize())
			_, err := f.WriteAt(bytes.Repeat([]byte{0xA5}, int(size-2*page)), 2*page)
			return err
		},
	} {
		for does, use := range map[string]func(s *Store){
			"get":    func(s *Store) { s.Get(numbered(t, 1).Domain) },
			"due":    func(s *Store) { due(s, at(48*time.Hour)) },
			"all":    func(s *Store) { s.All(func(Entry) bool { return true }) },
			"len":    func(s *Store) { s.Len(); s.Get(numbered(t, 2).Domain) },
			"commit": func(s *Store) { s.Flush() },
		} {
			t.Run(name+"/"+does, func(t *testing.T) {
				t.Parallel()
				path := filled(t)
				log := &journal{}
				s := open(t, path, log.logger())
				s.checks.Wait()
				f, err := os.OpenFile(path, os.O_RDWR, 0)
				if err != nil {
					t.Fatal(err)
				}
				defer f.Close()
				info, err := f.Stat()
				if err != nil {
					t.Fatal(err)
				}
				if err := corrupt(f, info.Size()); err != nil {
					t.Fatal(err)
				}
				fresh := numbered(t, stored+1)
				s.Put(fresh)
				use(s)
				flush(t, s)
				want(t, s, fresh)
				select {
				case <-s.Replaced():
				default:
					t.Error("Replaced has not notified")
				}
				closeStore(t, s)
				log.want(t, event.StoreDamaged)

				s = open(t, path, log.logger())
				want(t, s, fresh)
				if names := asides(t, path); len(names) != 1 {
					t.Errorf("set aside as %q, want one", names)
				}
			})
		}
	}
}

// A fault while a page is read is corruption, also if the size was not checked first.
func TestFault(t *testing.T) {
	t.Parallel()
	path := filled(t)
	s := open(t, path, (&journal{}).logger())
	s.checks.Wait()
	f := s.current()
	if err := os.Truncate(path, 2*int64(os.Getpagesize())); err != nil {
		t.Fatal(err)
	}
	err := guard(func() error {
		return f.db.View(func(tx *bolt.Tx) error {
			tables{tx: tx, corrupt: func() {}}.get(numbered(t, 1).Domain)
			return nil
		})
	})
	if asCorruption(err) == nil {
		t.Errorf("a read of pages that are gone: %v, want a *corruption", err)
	}
	if debug.SetPanicOnFault(false) {
		t.Error("faults still panic after guard")
	}
}

// Whatever bytes of a file a disk changes, the daemon goes on and keeps new entries.
func TestRandomCorruption(t *testing.T) {
	t.Parallel()
	path := filled(t)
	sound, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	used := len(bytes.TrimRight(sound, "\x00"))
	for seed := range uint64(randomRounds) {
		random := rand.New(rand.NewPCG(seed, 0))
		path := filename(t)
		b := bytes.Clone(sound)
		for range 1 + random.IntN(4) {
			b[random.IntN(used)] ^= 1 << random.IntN(8)
		}
		if err := os.WriteFile(path, b, fileMode); err != nil {
			t.Fatal(err)
		}
		s := open(t, path, (&journal{}).logger())
		s.checks.Wait()
		for n := range stored {
			e := numbered(t, n)
			if got, ok := s.Get(e.Domain); ok && got.Policy.Text != e.Policy.Text {
				t.Errorf("seed %d: the policy of %s is %q", seed, e.Domain, got.Policy.Text)
			}
		}
		e := numbered(t, stored)
		s.Put(e)
		flush(t, s)
		due(s, at(48*time.Hour))
		closeStore(t, s)
		s = open(t, path, (&journal{}).logger())
		want(t, s, e)
		closeStore(t, s)
	}
}

const randomRounds = 40

// One corrupt entry is removed and reported; the others stay.
func TestCorruptEntry(t *testing.T) {
	t.Parallel()
	for name, corrupt := range map[string]func(t *testing.T, path string){
		"bit of a text": func(t *testing.T, path string) {
			edit(t, path, func(b []byte) []byte {
				at := bytes.LastIndex(b, []byte("mx: *.mx.d0000007."))
				if at < 0 {
					t.Fatal("the policy is not in the file")
				}
				for at >= 0 { // free pages may have it too
					b[at] ^= 1
					at = bytes.LastIndex(b, []byte("mx: *.mx.d0000007."))
				}
				return b
			})
		},
		"invalid policy": func(t *testing.T, path string) {
			tamper(t, path, func(tx *bolt.Tx) error {
				e := numbered(t, 7)
				e.Policy.Text = "version: STSv9\n"
				return tables{tx: tx, now: stamp{boot: 1, origin: begin.Add(-uptime).Unix()}}.put(e)
			})
		},
		"key not canonical": func(t *testing.T, path string) {
			tamper(t, path, func(tx *bolt.Tx) error {
				tb := tables{tx: tx}
				key := []byte(numbered(t, 7).Domain.String())
				value := bytes.Clone(tb.entries().Get(key))
				if err := tb.entries().Delete(key); err != nil {
					return err
				}
				return tb.entries().Put(bytes.ToUpper(key), value)
			})
		},
	} {
		for does, use := range map[string]func(s *Store, e Entry){
			"check":   func(s *Store, _ Entry) { s.checks.Wait() },
			"get":     func(s *Store, e Entry) { s.Get(e.Domain) },
			"due":     func(s *Store, e Entry) { due(s, at(48*time.Hour)) },
			"replace": func(s *Store, e Entry) { s.Put(e); flush(t, s); s.Delete(e.Domain) },
		} {
			t.Run(name+"/"+does, func(t *testing.T) {
				t.Parallel()
				path := filled(t)
				corrupt(t, path)
				log := &journal{}
				s := open(t, path, log.logger())
				e := numbered(t, 7)
				use(s, e)
				s.checks.Wait()
				flush(t, s)
				wantNone(t, s, e.Domain)
				if n, due := s.Len(), len(due(s, at(48*time.Hour))); n != stored-1 || due != stored-1 {
					t.Errorf("%d entries, %d due; want %d", n, due, stored-1)
				}
				if does != "replace" { // an entry that is replaced before it is found is not lost
					log.want(t, event.StoreEntriesLost)
				}
				closeStore(t, s)
				if names := asides(t, path); len(names) > 0 {
					t.Errorf("set aside as %q", names)
				}
			})
		}
	}
}

// An index that does not fit the entries, and a wrong count, are repaired; nothing is
// lost.
func TestIndexRepair(t *testing.T) {
	t.Parallel()
	path := filled(t)
	tamper(t, path, func(tx *bolt.Tx) error {
		tb := tables{tx: tx}
		name := numbered(t, 1).Domain.String()
		h, err := readHeader(name, tb.entries().Get([]byte(name)))
		if err != nil {
			return err
		}
		place, _ := h.place(name)
		if err := tb.index(false).Delete(place); err != nil {
			return err
		}
		failing := tb.index(true)
		if err := failing.Put(place, []byte{}); err != nil { // it has no failures
			return err
		}
		h.next = begin.Unix()
		early, _ := h.place(name)
		unknown, _ := h.place("unknown.example")
		for _, stray := range [][]byte{early, unknown, []byte("short")} {
			if err := tb.index(false).Put(stray, []byte{}); err != nil {
				return err
			}
		}
		return putNumber(tb.meta(), countKey, 3)
	})
	log := &journal{}
	s := open(t, path, log.logger())
	s.checks.Wait()
	flush(t, s)
	if n, due := s.Len(), len(due(s, at(48*time.Hour))); n != stored || due != stored {
		t.Errorf("%d entries, %d due; want %d", n, due, stored)
	}
	if due := due(s, present); len(due) > 0 {
		t.Errorf("due before its time: %+v", due)
	}
	log.want(t)
}
