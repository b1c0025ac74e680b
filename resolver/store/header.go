package store

import (
	"encoding/binary"
	"hash/fnv"
	"io"
)

// What bbolt writes at the head of its file, in the machine's byte order: two
// meta pages, written in turn. A page begins with a header; what follows in a
// meta page ends with a checksum of the rest.
const (
	pageHeaderLen = 16
	metaLen       = 64
	metaSumAt     = metaLen - 8

	metaMagic   = 0xED0CDAED
	metaVersion = 2

	// The second meta page is the file's second page, whatever their size.
	minPageSize = 1 << 10
	maxPageSize = 16 << 20
)

// checkHeader compares a file's size with what its meta pages say. bbolt does
// not, and faults later if pages are missing. The error is a *corruption.
func checkHeader(f io.ReaderAt, size int64) error {
	m, found := readMeta(f, 0)
	need := m.pages * m.pageSize
	for at := int64(minPageSize); at <= maxPageSize; at *= 2 {
		if m, ok := readMeta(f, at); ok {
			need, found = max(need, m.pages*m.pageSize), true
			break
		}
	}
	switch {
	case !found:
		return corrupt("it is no policy file")
	case size < need:
		return corrupt("it is truncated: %d bytes of %d", size, need)
	}
	return nil
}

// meta is the content of a meta page.
type meta struct {
	pageSize, pages int64
	root, freelist  uint64 // pages
	commit          uint64
}

// readMeta reads the meta page at that offset, if there is a valid one.
func readMeta(f io.ReaderAt, at int64) (meta, bool) {
	var b [metaLen]byte
	if _, err := f.ReadAt(b[:], at+pageHeaderLen); err != nil {
		return meta{}, false
	}
	order := binary.NativeEndian
	sum := fnv.New64a()
	sum.Write(b[:metaSumAt])
	if order.Uint32(b[0:]) != metaMagic || order.Uint32(b[4:]) != metaVersion ||
		order.Uint64(b[metaSumAt:]) != sum.Sum64() {
		return meta{}, false
	}
	return meta{
		pageSize: int64(order.Uint32(b[8:])),
		root:     order.Uint64(b[16:]),
		freelist: order.Uint64(b[32:]),
		pages:    int64(order.Uint64(b[40:])),
		commit:   order.Uint64(b[48:]),
	}, true
}
