package store

import (
	"encoding/binary"

	"mta-sts-daemon/resolver/mtasts"
)

const indexTimeLen = 8

// place returns the index key of a value, nil if its entry has no Next: the wall
// time of Next and the domain, so that keys sort by time. The sign bit is inverted
// for that. failing selects the bucket.
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
