package store

import (
	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// tables are the buckets of one transaction.
type tables struct{ tx *bolt.Tx }

func (t tables) entries() *bolt.Bucket { return t.tx.Bucket([]byte(entriesBucket)) }
func (t tables) index() *bolt.Bucket   { return t.tx.Bucket([]byte(indexBucket)) }
func (t tables) meta() *bolt.Bucket    { return t.tx.Bucket([]byte(metaBucket)) }

// get reads the entry of d. ok is false where there is none; the error is of
// decode.
func (t tables) get(d mtasts.Domain) (e Entry, ok bool, err error) {
	value := t.entries().Get([]byte(d.String()))
	if value == nil {
		return Entry{}, false, nil
	}
	e, err = decode(d, value)
	return e, err == nil, err
}

// apply makes the changes. clean is false where an entry that was replaced was
// damaged, so that its place in the index is not known.
func (t tables) apply(batch map[mtasts.Domain]*change) (clean bool, err error) {
	clean = true
	had := number(t.meta(), countKey)
	count := had
	for d, c := range batch {
		key := []byte(d.String())
		if old := t.entries().Get(key); old != nil {
			count--
			if e, err := decode(d, old); err != nil {
				clean = false
			} else if place := indexKey(e); place != nil {
				if err := t.index().Delete(place); err != nil {
					return clean, err
				}
			}
		}
		if c.deleted {
			if err := t.entries().Delete(key); err != nil {
				return clean, err
			}
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

func (t tables) put(e Entry) error {
	if err := t.entries().Put([]byte(e.Domain.String()), encode(e)); err != nil {
		return err
	}
	return t.enter(e)
}

// enter puts an entry's place into the index.
func (t tables) enter(e Entry) error {
	place := indexKey(e)
	if place == nil {
		return nil
	}
	return t.index().Put(place, []byte{})
}
