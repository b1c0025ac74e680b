package store

import (
	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// tables are the buckets of one transaction.
type tables struct {
	tx     *bolt.Tx
	now    stamp
	purged uint64 // entries with lower numbers are void
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

// get reads the entry of d; ok is false if it is missing, void or corrupt. The error
// is of decode.
func (t tables) get(d mtasts.Domain) (e Entry, ok bool, err error) {
	value := t.entries().Get([]byte(d.String()))
	if value == nil {
		return Entry{}, false, nil
	}
	e, err = decode(d, value, t.now)
	if err != nil || e.Purges < t.purged {
		return Entry{}, false, err
	}
	return e, true, nil
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

// apply makes the changes. clean is false if an entry that was replaced was
// corrupt, so that its place in the index is not known.
func (t tables) apply(batch map[mtasts.Domain]*change) (clean bool, err error) {
	clean = true
	count := number(t.meta(), countKey)
	had := count
	for d, c := range batch {
		if !c.deleted && c.entry.Purges < t.purged {
			continue
		}
		removed, sound, err := t.remove(d.String())
		if err != nil {
			return clean, err
		}
		clean = clean && sound
		if removed {
			count--
		}
		if c.deleted {
			continue
		}
		count++
		if err := t.put(c.entry); err != nil {
			return clean, err
		}
	}
	if count == had {
		return clean, nil
	}
	return clean, putNumber(t.meta(), countKey, count)
}

// remove takes an entry and its place out. removed is false if it was
// missing, sound if it was corrupt.
func (t tables) remove(key string) (removed, sound bool, err error) {
	old := t.entries().Get([]byte(key))
	if old == nil {
		return false, true, nil
	}
	h, corrupt := readHeader(key, old)
	if place, failing := h.place(key); place != nil {
		if err := t.index(failing).Delete(place); err != nil {
			return false, false, err
		}
	}
	return true, corrupt == nil, t.entries().Delete([]byte(key))
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

// enter puts the place of an entry into its index.
func (t tables) enter(h header, key string) error {
	place, failing := h.place(key)
	if place == nil {
		return nil
	}
	return t.index(failing).Put(place, []byte{})
}
