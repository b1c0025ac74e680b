package store

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"io"
	"math"
	"slices"

	bolt "go.etcd.io/bbolt"
)

// What bbolt writes, in the machine's byte order. A page begins with its own number
// (8 bytes), its kind (2), how many elements it has (2) and how many pages more it
// takes (4). The elements of a branch or a leaf come first and say where their key
// is, counted from the element; a branch's element names a page, a leaf's value
// follows the key. The first two pages are meta pages, written in turn; a meta page
// ends with a checksum of the rest.
const (
	pageHeaderLen = 16
	branchPage    = 0x01
	leafPage      = 0x02
	freelistPage  = 0x10

	elementLen   = 16
	nestedBucket = 0x01 // flag of a leaf's element: its value begins with a root page

	// The element count of a list of free pages if the real one comes before the
	// page numbers.
	manyFree = math.MaxUint16
	noPage   = math.MaxUint64

	// maxNode is more than a branch or leaf of policies ever takes, in bytes.
	maxNode = 1 << 20

	metaLen     = 64
	metaSumAt   = metaLen - 8
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	// The second meta page is the file's second page, whatever their size.
	minPageSize = 1 << 10
	maxPageSize = 16 << 20
)

// meta is the content of a meta page.
type meta struct {
	pageSize, pages int64
	root, freelist  uint64 // page numbers
	commit          uint64 // number of the transaction that wrote it
}

// readMeta reads the meta page at that offset, if there is a valid one.
func readMeta(f io.ReaderAt, at int64) (meta, bool) {
	order := binary.NativeEndian
	var b [metaLen]byte
	if _, err := f.ReadAt(b[:], at+pageHeaderLen); err != nil {
		return meta{}, false
	}
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

// checkHeader compares a file's size with what its meta pages say. bbolt does not,
// and faults later if pages are missing. The error is a *corruption.
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
		return corrupt("it is not a policy file")
	case size < need:
		return corrupt("it is truncated: %d bytes of %d", size, need)
	}
	return nil
}

// pageCheck walks through the pages of one transaction and checks that each is used
// once. bbolt's own Tx.Check does so too, but follows a corrupt page to any place, on
// a goroutine where a fault ends the daemon. This one reads the file by ReadAt, within
// bounds.
type pageCheck struct {
	file io.ReaderAt
	meta meta
	used []bool       // by page number
	step func() error // called for each page; its error ends the check

	buffers [][]byte // of the pages from the root to the present one
}

// checkPages checks the pages that tx, a read-only transaction, keeps unchanged. It
// returns how many bytes are in free pages.
func (f *file) checkPages(tx *bolt.Tx, step func() error) (free int64, err error) {
	for _, at := range []int64{0, int64(f.db.Info().PageSize)} {
		if m, ok := readMeta(f.f, at); ok && m.commit == uint64(tx.ID()) {
			c := &pageCheck{file: f.f, meta: m, used: make([]bool, m.pages), step: step}
			c.used[0], c.used[1] = true, true
			if err := c.tree(m.root, 0, &keyOrder{}); err != nil {
				return 0, err
			}
			pages, err := c.freelist()
			return int64(pages) * m.pageSize, err
		}
	}
	return 0, nil // two commits have replaced both meta pages, so both were sound
}

// page is a page's kind, how many elements it has, and all its bytes.
type page struct {
	kind  uint16
	count int
	b     []byte
}

// page reads a page that no other refers to, so many levels below the root. It is
// overwritten by the next one of that level.
func (c *pageCheck) page(id uint64, level int) (page, error) {
	if err := c.step(); err != nil {
		return page{}, err
	}
	if id >= uint64(len(c.used)) {
		return page{}, corrupt("page %d lies beyond the last", id)
	}
	if level == len(c.buffers) {
		c.buffers = append(c.buffers, make([]byte, c.meta.pageSize))
	}
	order := binary.NativeEndian
	b, at := c.buffers[level][:c.meta.pageSize], int64(id)*c.meta.pageSize
	if _, err := c.file.ReadAt(b, at); err != nil {
		return page{}, corrupt("page %d: %v", id, err)
	}
	p := page{kind: order.Uint16(b[8:]), count: int(order.Uint16(b[10:]))}
	last := id + uint64(order.Uint32(b[12:]))
	size := int64(last-id+1) * c.meta.pageSize
	if order.Uint64(b) != id || last >= uint64(len(c.used)) || p.kind != freelistPage && size > maxNode {
		return page{}, corrupt("page %d has no valid header", id)
	}
	for n := id; n <= last; n++ {
		if err := c.use(n); err != nil {
			return page{}, err
		}
	}
	if last > id {
		b = slices.Grow(b, int(size)-len(b))[:size]
		if _, err := c.file.ReadAt(b[c.meta.pageSize:], at+c.meta.pageSize); err != nil {
			return page{}, corrupt("page %d: %v", id, err)
		}
		c.buffers[level] = b
	}
	p.b = b
	return p, nil
}

func (c *pageCheck) use(id uint64) error {
	if id >= uint64(len(c.used)) || c.used[id] {
		return corrupt("page %d is used twice", id)
	}
	c.used[id] = true
	return nil
}

// tree checks a bucket from a page of it down, which is so many levels below the root
// of all buckets.
func (c *pageCheck) tree(id uint64, level int, keys *keyOrder) error {
	p, err := c.page(id, level)
	if err != nil {
		return err
	}
	if p.kind != branchPage && p.kind != leafPage {
		return corrupt("page %d is of kind %d", id, p.kind)
	}
	for i := range p.count {
		key, child, ok := p.element(i)
		if !ok || !keys.next(key, p.kind == leafPage) {
			return corrupt("element %d of page %d is out of place", i, id)
		}
		switch {
		case p.kind == branchPage:
			err = c.tree(child, level+1, keys)
		case child != 0:
			err = c.tree(child, level+1, &keyOrder{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element reads an element of a branch or a leaf: its key and the page below, 0 for
// none. ok is false if it does not lie within the page.
func (p page) element(i int) (key []byte, child uint64, ok bool) {
	order := binary.NativeEndian
	at := pageHeaderLen + i*elementLen
	if at+elementLen > len(p.b) {
		return nil, 0, false
	}
	b := p.b[at:]
	var keyAt, keyLen, valueLen uint64
	if p.kind == branchPage {
		keyAt, keyLen = uint64(order.Uint32(b)), uint64(order.Uint32(b[4:]))
		child = order.Uint64(b[8:])
	} else {
		keyAt, keyLen, valueLen = uint64(order.Uint32(b[4:])), uint64(order.Uint32(b[8:])), uint64(order.Uint32(b[12:]))
	}
	valueAt := keyAt + keyLen
	nested := p.kind == leafPage && order.Uint32(b)&nestedBucket != 0
	if valueAt+valueLen > uint64(len(b)) || nested && valueLen < pageHeaderLen {
		return nil, 0, false
	}
	if nested {
		child = order.Uint64(b[valueAt:])
	}
	return b[keyAt:valueAt], child, true
}

// keyOrder is given the keys of a bucket in turn: they rise, and the first key below
// a branch's key is the same again. bbolt relies on that when it writes, though its
// own check demands less.
type keyOrder struct {
	last  []byte // of a leaf
	above []byte // of a branch, until the first below it is given
}

func (o *keyOrder) next(key []byte, leaf bool) bool {
	switch {
	case o.above != nil && !bytes.Equal(key, o.above),
		o.above == nil && o.last != nil && bytes.Compare(key, o.last) <= 0:
		return false
	}
	if o.above = key; leaf {
		o.last, o.above = append(o.last[:0], key...), nil // the page will be overwritten
	}
	return true
}

// freelist checks that no free page is used, and counts them.
func (c *pageCheck) freelist() (free uint64, err error) {
	if c.meta.freelist == noPage {
		return 0, nil
	}
	p, err := c.page(c.meta.freelist, 0)
	if err != nil {
		return 0, err
	}
	order := binary.NativeEndian
	ids, count := p.b[pageHeaderLen:], uint64(p.count)
	if p.count == manyFree {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if p.kind != freelistPage || count > uint64(len(ids)/8) {
		return 0, corrupt("page %d is not a list of free pages", c.meta.freelist)
	}
	for n := range count {
		if err := c.use(order.Uint64(ids[8*n:])); err != nil {
			return 0, err
		}
	}
	return count, nil
}
