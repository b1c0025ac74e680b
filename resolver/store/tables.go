package store

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// tables are the buckets of one transaction.
type tables struct {
	tx      *bolt.Tx
	now     stamp
	ahead   int64  // by how many seconds stamps may be ahead of now, if the wall clock was set back
	purged  uint64 // entries with lower numbers are void
	corrupt func() // notes that something corrupt was met
}

// tables returns the buckets of a transaction of f.
func (s *Store) tables(f *file, tx *bolt.Tx) tables {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := newStamp(f.boot, s.clk.Origin())
	return tables{tx: tx, now: now, ahead: max(0, int64(s.numbers.origin)-now.origin), purged: s.numbers.purged, corrupt: s.wantRepair}
}

func (t tables) entries() *bolt.Bucket { return t.tx.Bucket([]byte(entriesBucket)) }
func (t tables) history() *bolt.Bucket { return t.tx.Bucket([]byte(historyBucket)) }
func (t tables) meta() *bolt.Bucket    { return t.tx.Bucket([]byte(metaBucket)) }

// index returns an index. A read-only file of schema 1 has that of failing entries
// in the other.
func (t tables) index(failing bool) *bolt.Bucket {
	if b := t.tx.Bucket([]byte(failingBucket)); failing && b != nil {
		return b
	}
	return t.tx.Bucket([]byte(indexBucket))
}

// get reads the entry of d; ok is false if it is missing, void or corrupt.
func (t tables) get(d mtasts.Domain) (e Entry, ok bool) {
	value := t.entries().Get([]byte(d.String()))
	if value == nil {
		return Entry{}, false
	}
	e, err := decode(d, value, t.now)
	if err != nil {
		t.corrupt()
	}
	if err != nil || e.Purges < t.purged {
		return Entry{}, false
	}
	return e, true
}

// indexed reads the entry of an index key; ok is false if the key does not fit it.
func (t tables) indexed(next int64, d mtasts.Domain, failing bool) (e Entry, ok bool) {
	value := t.entries().Get([]byte(d.String()))
	h, err := readHeader(d.String(), value)
	if err != nil || !h.hasNext || h.next != next || h.failures > 0 != failing {
		return Entry{}, false
	}
	e, err = h.decode(d, value, t.now)
	return e, err == nil
}

// apply makes the changes.
func (t tables) apply(changes map[mtasts.Domain]*change) error {
	count := number(t.meta(), countKey)
	for d, c := range changes {
		if c.void(t.purged) {
			continue
		}
		removed, err := t.remove(d.String())
		if err != nil {
			return err
		}
		if removed {
			count--
		}
		if c.deleted {
			continue
		}
		count++
		if err := t.put(c.entry); err != nil {
			return err
		}
	}
	return putNumber(t.meta(), countKey, count)
}

// remove removes an entry, if there is one, and its index key.
func (t tables) remove(key string) (removed bool, err error) {
	old := t.entries().Get([]byte(key))
	if old == nil {
		return false, nil
	}
	h, err := readHeader(key, old)
	if err != nil {
		t.corrupt() // its index key is not known
	}
	if place, failing := h.place(key); place != nil {
		if err := t.index(failing).Delete(place); err != nil {
			return false, err
		}
	}
	return true, t.entries().Delete([]byte(key))
}

func (t tables) put(e Entry) error {
	key, value := e.Domain.String(), encode(e, t.now)
	if err := t.entries().Put([]byte(key), value); err != nil {
		return err
	}
	h, err := readHeader(key, value)
	if err != nil {
		return err
	}
	return t.enter(h, key)
}

// enter puts the index key of an entry into its index.
func (t tables) enter(h header, key string) error {
	place, failing := h.place(key)
	if place == nil {
		return nil
	}
	return t.index(failing).Put(place, []byte{})
}

const indexTimeLen = 8

// place returns the index key of a value, nil if its entry has no Next: the wall
// time of Next and the domain, so that keys sort by time. The sign bit is inverted
// for that. failing selects the index.
func (h header) place(domain string) (key []byte, failing bool) {
	if !h.hasNext {
		return nil, false
	}
	key = make([]byte, 0, indexTimeLen+len(domain))
	key = binary.BigEndian.AppendUint64(key, uint64(h.next)^1<<63)
	return append(key, domain...), h.failures > 0
}

// parseIndexKey returns a key's wall time in Unix seconds and its domain.
func parseIndexKey(key []byte) (next int64, d mtasts.Domain, ok bool) {
	if len(key) < indexTimeLen {
		return 0, mtasts.Domain{}, false
	}
	next = int64(binary.BigEndian.Uint64(key) ^ 1<<63)
	d, ok = parseKey(key[indexTimeLen:])
	return next, d, ok
}

// parseKey reads a key of the entries; one that is not canonical is corrupt.
func parseKey(key []byte) (mtasts.Domain, bool) {
	d, err := mtasts.ParseDomain(string(key))
	return d, err == nil && d.String() == string(key)
}
