package store

import (
	"bytes"
	"encoding/binary"
	"math"

	bolt "go.etcd.io/bbolt"
)

// How bbolt lays out its pages. Each begins with its own number, its kind, how
// many elements it has and how many pages more it takes. The elements of a
// branch or a leaf come first and say where their key is, counted from the
// element; a branch's name a page, a leaf's value follows the key.
const (
	branchPage   = 0x01
	leafPage     = 0x02
	freelistPage = 0x10

	elementLen   = 16
	nestedBucket = 0x01 // flag of a leaf's element: its value begins with a root page

	// The count of a freelist that has more comes before its page numbers.
	manyFree = math.MaxUint16
	noPage   = math.MaxUint64

	// maxNode is more than a branch or leaf of policies ever takes, in bytes.
	maxNode = 1 << 20
)

// pageCheck walks through the pages of one transaction and checks that
// each is used once. bbolt's own Tx.Check does so too, but follows a corrupt
// page to any place, on a goroutine where a fault ends the daemon. This
// one reads the file by ReadAt, within bounds.
type pageCheck struct {
	file *file
	meta meta
	used []bool // by page
	stop <-chan struct{}
}

// checkPages checks the pages that tx, a read-only transaction, keeps unchanged. It
// returns how many bytes are in free pages.
func (f *file) checkPages(tx *bolt.Tx, stop <-chan struct{}) (free int64, err error) {
	for _, at := range []int64{0, int64(f.db.Info().PageSize)} {
		if m, ok := readMeta(f.f, at); ok && m.commit == uint64(tx.ID()) {
			c := &pageCheck{file: f, meta: m, used: make([]bool, m.pages), stop: stop}
			c.used[0], c.used[1] = true, true
			if err := c.tree(m.root, &keyOrder{}); err != nil {
				return 0, err
			}
			pages, err := c.freelist()
			return int64(pages) * m.pageSize, err
		}
	}
	return 0, nil // overtaken by two commits already, so both were well
}

// page is a page's kind, how many elements it has, and all its bytes.
type page struct {
	kind  uint16
	count int
	b     []byte
}

func (c *pageCheck) page(id uint64) (page, error) {
	if stopped(c.stop) {
		return page{}, errStopped
	}
	if id >= uint64(len(c.used)) {
		return page{}, corrupt("page %d lies beyond the last", id)
	}
	at := int64(id) * c.meta.pageSize
	var header [pageHeaderLen]byte
	if _, err := c.file.f.ReadAt(header[:], at); err != nil {
		return page{}, corrupt("page %d: %v", id, err)
	}
	order := binary.NativeEndian
	p := page{kind: order.Uint16(header[8:]), count: int(order.Uint16(header[10:]))}
	more := uint64(order.Uint32(header[12:]))
	size := int64(more+1) * c.meta.pageSize
	if order.Uint64(header[:]) != id || id+more >= uint64(len(c.used)) || p.kind != freelistPage && size > maxNode {
		return page{}, corrupt("page %d is no page", id)
	}
	for n := id; n <= id+more; n++ {
		if err := c.use(n); err != nil {
			return page{}, err
		}
	}
	p.b = make([]byte, size)
	if _, err := c.file.f.ReadAt(p.b, at); err != nil {
		return page{}, corrupt("page %d: %v", id, err)
	}
	return p, nil
}

func (c *pageCheck) use(id uint64) error {
	if id >= uint64(len(c.used)) || c.used[id] {
		return corrupt("page %d is used twice", id)
	}
	c.used[id] = true
	return nil
}

// tree checks a bucket from a page of it down.
func (c *pageCheck) tree(id uint64, keys *keyOrder) error {
	p, err := c.page(id)
	if err != nil {
		return err
	}
	if p.kind != branchPage && p.kind != leafPage {
		return corrupt("page %d is of kind %d", id, p.kind)
	}
	for i := range p.count {
		e, ok := p.element(i)
		if !ok || !keys.next(e.key, p.kind == leafPage) {
			return corrupt("element %d of page %d is out of place", i, id)
		}
		switch {
		case p.kind == branchPage:
			err = c.tree(e.child, keys)
		case e.child != 0:
			err = c.tree(e.child, &keyOrder{})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// element is one of a branch or a leaf. child is the page below, 0 for none.
type element struct {
	key   []byte
	child uint64
}

// element reads one; ok is false if it does not lie within the page.
func (p page) element(i int) (e element, ok bool) {
	at := pageHeaderLen + i*elementLen
	if at+elementLen > len(p.b) {
		return element{}, false
	}
	order := binary.NativeEndian
	b := p.b[at:]
	if p.kind == branchPage {
		e.child = order.Uint64(b[8:])
		e.key, _, ok = cut(b, order.Uint32(b), order.Uint32(b[4:]), 0)
		return e, ok
	}
	var value []byte
	e.key, value, ok = cut(b, order.Uint32(b[4:]), order.Uint32(b[8:]), order.Uint32(b[12:]))
	if ok && order.Uint32(b)&nestedBucket != 0 {
		if len(value) < pageHeaderLen {
			return e, false
		}
		e.child = order.Uint64(value)
	}
	return e, ok
}

// cut takes a key and the value behind it out of b.
func cut(b []byte, at, keyLen, valueLen uint32) (key, value []byte, ok bool) {
	middle := uint64(at) + uint64(keyLen)
	end := middle + uint64(valueLen)
	if end > uint64(len(b)) {
		return nil, nil, false
	}
	return b[at:middle], b[middle:end], true
}

// keyOrder sees the keys of a bucket go by: they rise, and the first key below
// a branch's is the same again. bbolt relies on that when it writes, though its
// own check is content with less.
type keyOrder struct {
	last  []byte // of a leaf
	above []byte // of a branch, until the first below it went by
}

func (o *keyOrder) next(key []byte, leaf bool) bool {
	switch {
	case o.above != nil && !bytes.Equal(key, o.above),
		o.above == nil && o.last != nil && bytes.Compare(key, o.last) <= 0:
		return false
	}
	if o.above = key; leaf {
		o.last, o.above = key, nil
	}
	return true
}

// freelist checks that no free page is used, and counts them.
func (c *pageCheck) freelist() (free uint64, err error) {
	if c.meta.freelist == noPage {
		return 0, nil
	}
	p, err := c.page(c.meta.freelist)
	if err != nil {
		return 0, err
	}
	order := binary.NativeEndian
	ids, count := p.b[pageHeaderLen:], uint64(p.count)
	if p.count == manyFree {
		count, ids = order.Uint64(ids), ids[8:]
	}
	if p.kind != freelistPage || count > uint64(len(ids)/8) {
		return 0, corrupt("the list of free pages is none")
	}
	for n := range count {
		if err := c.use(order.Uint64(ids[8*n:])); err != nil {
			return 0, err
		}
	}
	return count, nil
}
