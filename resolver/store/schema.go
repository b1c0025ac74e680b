package store

import (
	"encoding/binary"

	bolt "go.etcd.io/bbolt"
)

// schemaVersion says how the file is laid out. A file of another version is
// set aside, so it changes only where no daemon before could read the file.
const schemaVersion = 1

// The buckets: entries by domain, the index of entries by Next, and numbers
// about the file.
const (
	entriesBucket = "entries"
	indexBucket   = "next"
	metaBucket    = "meta"

	schemaKey = "schema"
	countKey  = "entries"
)

// begin checks the schema, or writes it where the file is new.
func (f *file) begin() error {
	var fresh bool
	err := f.view(func(tx *bolt.Tx) error {
		meta := tx.Bucket([]byte(metaBucket))
		if meta == nil {
			first, _ := tx.Cursor().First()
			if fresh = first == nil; !fresh {
				return damaged("it is another program's file")
			}
			return nil
		}
		if v := number(meta, schemaKey); v != schemaVersion {
			return damaged("its schema is version %d and this daemon knows %d", v, schemaVersion)
		}
		if tx.Bucket([]byte(entriesBucket)) == nil || tx.Bucket([]byte(indexBucket)) == nil {
			return damaged("a part of it is missing")
		}
		return nil
	})
	if err != nil || !fresh {
		return err
	}
	return f.update(func(tx *bolt.Tx) error {
		for _, name := range []string{entriesBucket, indexBucket, metaBucket} {
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return putNumber(tx.Bucket([]byte(metaBucket)), schemaKey, schemaVersion)
	})
}

// number reads a number about the file; 0 where there is none.
func number(meta *bolt.Bucket, key string) uint64 {
	v := meta.Get([]byte(key))
	if len(v) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(v)
}

func putNumber(meta *bolt.Bucket, key string, n uint64) error {
	return meta.Put([]byte(key), binary.BigEndian.AppendUint64(nil, n))
}
