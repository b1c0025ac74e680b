package store

import (
	"encoding/binary"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

const indexTimeLen = 8

// indexKey is the entry's place in the index, nil if it has none: its Next and
// its domain, so that keys sort by time. The sign bit is turned for that.
func indexKey(e Entry) []byte {
	if e.Next.IsZero() {
		return nil
	}
	key := make([]byte, 0, indexTimeLen+len(e.Domain.String()))
	key = binary.BigEndian.AppendUint64(key, uint64(e.Next.Unix())^1<<63)
	return append(key, e.Domain.String()...)
}

func parseIndexKey(key []byte) (next time.Time, d mtasts.Domain, ok bool) {
	if len(key) < indexTimeLen {
		return time.Time{}, mtasts.Domain{}, false
	}
	next = unix(int64(binary.BigEndian.Uint64(key) ^ 1<<63))
	d, ok = parseKey(key[indexTimeLen:])
	return next, d, ok
}

// parseKey reads a key of the entries; one that is not canonical is damaged.
func parseKey(key []byte) (mtasts.Domain, bool) {
	d, err := mtasts.ParseDomain(string(key))
	return d, err == nil && d.String() == string(key)
}
