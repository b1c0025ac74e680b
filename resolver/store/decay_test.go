package store

import (
	"bytes"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
)

// One entry that decayed is removed and told of; its neighbours stay.
func TestDecayedEntry(t *testing.T) {
	t.Parallel()
	for name, decay := range map[string]func(t *testing.T, path string){
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
		"policy that is none": func(t *testing.T, path string) {
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
				decay(t, path)
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

// An index that does not fit the entries, and a count that is wrong, are made
// to fit; nothing is lost.
func TestUnfitIndex(t *testing.T) {
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
