package store

import (
	"encoding/binary"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/event"
)

// schemaVersion says how the file is laid out. A file of a later version is set
// aside, so the number changes only if no daemon before could read the file.
//
//	1  entries with wall times alone
//	2  boot stamps, a second index, history, purge numbers
const (
	schemaVersion = 2
	noSchema      = 0 // a new file
)

// The buckets: entries by domain; two indexes of entries by Next, one of them of
// those with failures; the history; and numbers about the file.
const (
	entriesBucket = "entries"
	indexBucket   = "next"
	failingBucket = "failing"
	historyBucket = "history"
	metaBucket    = "meta"
)

// Keys of meta. The values are 64-bit numbers, except that of bootIDKey.
const (
	schemaKey   = "schema"
	countKey    = "entries" // how many there are, void ones included
	bootKey     = "boot"    // number of the boot that opened the file last
	bootIDKey   = "boot-id" // what that boot is called
	sweptKey    = "swept"   // the purge whose void entries have been removed
	purgesKey   = "purges"  // and so on: numbers
	purgedKey   = "purged"
	steadyKey   = "steady"
	originKey   = "origin"
	completeKey = "complete"
	newsKey     = "news"
)

// numbers belong to the Store; each file of it has a copy.
type numbers struct {
	purges   uint64 // the highest purge number known
	purged   uint64 // entries with lower numbers are void
	steady   uint64 // since which Moment the wall clock has made no step
	origin   uint64 // wall time of the boot, in Unix seconds, that no stamp of this boot differs much from
	complete uint64 // from when on the history lacks nothing, in Unix milliseconds
	news     uint64 // number of the last change written, as it was while it waited
}

func (n *numbers) fields() map[string]*uint64 {
	return map[string]*uint64{purgesKey: &n.purges, purgedKey: &n.purged, steadyKey: &n.steady,
		originKey: &n.origin, completeKey: &n.complete, newsKey: &n.news}
}

// look checks the schema and reads the numbers. It finds the number of this boot,
// which a file that is read-only does not get.
func (f *file) look(bootID string) error {
	return f.view(func(tx *bolt.Tx) error {
		meta := tx.Bucket([]byte(metaBucket))
		if meta == nil {
			if first, _ := tx.Cursor().First(); first != nil {
				return corrupt("it is another program's file")
			}
			f.boot = 1
			return nil
		}
		f.schema = number(meta, schemaKey)
		if f.schema == noSchema || f.schema > schemaVersion {
			return corrupt("its schema is version %d and this daemon knows %d", f.schema, schemaVersion)
		}
		for _, name := range buckets(f.schema) {
			if tx.Bucket([]byte(name)) == nil {
				return corrupt("a part of it is missing")
			}
		}
		f.boot = number(meta, bootKey)
		f.swept = number(meta, sweptKey)
		for key, n := range f.saved.fields() {
			*n = number(meta, key)
		}
		if f.begun = string(meta.Get([]byte(bootIDKey))) == bootID; !f.begun {
			f.boot++
			f.saved.steady, f.saved.origin = 0, 0
		}
		return nil
	})
}

// buckets returns the buckets that a file of a schema has.
func buckets(schema uint64) []string {
	first := []string{entriesBucket, indexBucket, metaBucket}
	if schema == 1 {
		return first
	}
	return append(first, failingBucket, historyBucket)
}

// copySuffix ends the name of the copy of a file of schema 1.
const copySuffix = ".schema-1"

// begin prepares the first write to f in this boot, unless that is done: it creates
// the buckets that a new file or one of schema 1 lacks, and writes the number of the
// boot. f can be read before. A file of schema 1 is copied first, for the way back to
// an earlier version; if that fails, begin goes on without a copy.
func (w *writer) begin(f *file) error {
	if f.begun {
		return nil
	}
	if f.schema == 1 && f.unwritable == nil {
		if err := copyFile(w.path+copySuffix, f.f); err != nil && !w.notCopied {
			w.notCopied = true
			event.StoreNotCopied.Log(w.logger, fileAttr(w.path), event.Reason(err))
		}
	}
	err := f.update(func(tx *bolt.Tx) error {
		for _, name := range buckets(schemaVersion) {
			if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
				return err
			}
		}
		meta := tx.Bucket([]byte(metaBucket))
		return errors.Join(meta.Put([]byte(bootIDKey), []byte(w.clk.Boot())),
			putNumber(meta, bootKey, f.boot), putNumber(meta, schemaKey, schemaVersion))
	})
	f.begun = err == nil
	return err
}

// copyFile makes a durable copy of the file; path names all of it or nothing new.
func copyFile(path string, from *os.File) error {
	part := path + ".part"
	to, err := os.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, fileMode)
	if err != nil {
		return err
	}
	defer os.Remove(part)
	defer to.Close()
	if _, err := io.Copy(to, io.NewSectionReader(from, 0, math.MaxInt64)); err != nil {
		return err
	}
	if err := to.Sync(); err != nil {
		return err
	}
	if err := os.Rename(part, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// number returns a number of meta, 0 if it is missing.
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
