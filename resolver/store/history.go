package store

import (
	"encoding/binary"
	"slices"
	"time"

	bolt "go.etcd.io/bbolt"

	"mta-sts-daemon/resolver/mtasts"
)

// ChangeKind is the kind of a Change. The file has the numbers, so none ever
// changes its meaning.
type ChangeKind uint8

const (
	ChangeFound         ChangeKind = 1 // a policy, of a domain that had none
	ChangeChanged       ChangeKind = 2 // the policy
	ChangeDowngraded    ChangeKind = 3 // the domain no longer enforces
	ChangeExpired       ChangeKind = 4 // the policy, without a successor
	ChangeBroken        ChangeKind = 5 // a policy is announced and cannot be fetched
	ChangeRecovered     ChangeKind = 6 // it can be fetched again
	ChangeMismatch      ChangeKind = 7 // no MX host matches the enforced policy
	ChangeMismatchEnded ChangeKind = 8
	ChangePurged        ChangeKind = 9 // by the operator

	lastKind = ChangePurged
)

var changeNames = [lastKind + 1]string{
	ChangeFound:         "found",
	ChangeChanged:       "changed",
	ChangeDowngraded:    "downgraded",
	ChangeExpired:       "expired",
	ChangeBroken:        "broken",
	ChangeRecovered:     "recovered",
	ChangeMismatch:      "mismatch",
	ChangeMismatchEnded: "mismatch-ended",
	ChangePurged:        "purged",
}

// ChangeKinds yields every kind.
func ChangeKinds(yield func(ChangeKind) bool) {
	for k := ChangeFound; k <= lastKind && yield(k); k++ {
	}
}

// String returns the kind's name, for users.
func (k ChangeKind) String() string {
	if int(k) >= len(changeNames) || k == 0 {
		return "invalid"
	}
	return changeNames[k]
}

// limit is how many changes of a kind are kept. Each kind has its own, so that a
// flood of finds removes no downgrade.
func (k ChangeKind) limit() uint64 {
	if k == ChangeFound {
		return 10_000
	}
	return 5_000
}

// Change is an event in the history of a domain. Strings are cut to 255 bytes, and
// the first 64 patterns are kept.
type Change struct {
	At               time.Time // by the wall clock, kept in milliseconds and UTC
	Kind             ChangeKind
	Domain           mtasts.Domain // zero for all, as with a purge
	OldMode, NewMode string
	Added, Removed   []string // MX host patterns
	ID, Detail       string
	Count            int
}

const (
	maxChangeString   = 255
	maxChangePatterns = 64

	// maxNews is how many changes of each kind may wait to be written. If more
	// come, the oldest are dropped.
	maxNews = 1_000
)

// bounded returns c as the file keeps it.
func (c Change) bounded() Change {
	c.At = c.At.UTC().Truncate(time.Millisecond)
	for _, s := range []*string{&c.OldMode, &c.NewMode, &c.ID, &c.Detail} {
		*s = cutString(*s)
	}
	for _, patterns := range []*[]string{&c.Added, &c.Removed} {
		*patterns = slices.Clone((*patterns)[:min(len(*patterns), maxChangePatterns)])
		for i, s := range *patterns {
			(*patterns)[i] = cutString(s)
		}
	}
	return c
}

func cutString(s string) string { return s[:min(len(s), maxChangeString)] }

// kept is a change and its number: in order of arrival while it waits, within its
// kind in the file.
type kept struct {
	number uint64
	Change
}

// Record adds a change to the history. It is on disk as soon as an entry would be.
func (s *Store) Record(c Change) {
	if c.Kind == 0 || c.Kind > lastKind {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	of, oldest := 0, 0
	for i := range slices.Backward(s.news) {
		if s.news[i].Kind == c.Kind {
			of, oldest = of+1, i
		}
	}
	if of == maxNews {
		s.numbers.complete = max(s.numbers.complete, uint64(s.news[oldest].At.UnixMilli()))
		s.news = slices.Delete(s.news, oldest, oldest+1)
	}
	s.lastNews++
	s.news = append(s.news, kept{s.lastNews, c.bounded()})
	s.wakeWriter()
}

// Changes returns the history since a wall time, the newest first. From complete on
// nothing is missing. Before it, changes were dropped at the limit of their kind, or
// the file had no history yet.
func (s *Store) Changes(since time.Time) (changes []Change, complete time.Time) {
	s.mu.Lock()
	waiting, f := slices.Clone(s.news), s.file
	from := s.numbers.complete
	s.mu.Unlock()
	var stored []kept
	var written uint64 // meanwhile, of those that waited
	s.viewCurrent(f, func(t tables) {
		stored = t.changes()
		written = number(t.meta(), newsKey)
		from = max(from, t.dropped())
	})
	waiting = slices.DeleteFunc(waiting, func(k kept) bool { return k.number <= written })
	for _, k := range slices.Concat(stored, waiting) {
		if !k.At.Before(since) {
			changes = append(changes, k.Change)
		}
	}
	slices.Reverse(changes) // of a kind's changes at the same time, the last recorded comes first
	slices.SortStableFunc(changes, func(a, b Change) int { return b.At.Compare(a.At) })
	return changes, time.UnixMilli(int64(from)).UTC()
}

// A key of the history is the kind and a number that counts up.

func historyKey(kind ChangeKind, number uint64) []byte {
	return binary.BigEndian.AppendUint64([]byte{byte(kind)}, number)
}

// ring returns the numbers of a kind's first and last change, 0 without any.
func ring(c *bolt.Cursor, kind ChangeKind) (first, last uint64) {
	k, _ := c.Seek(historyKey(kind, 0))
	if len(k) != 9 || k[0] != byte(kind) {
		return 0, 0
	}
	first = binary.BigEndian.Uint64(k[1:])
	if k, _ = c.Seek([]byte{byte(kind) + 1}); k == nil {
		k, _ = c.Last()
	} else {
		k, _ = c.Prev()
	}
	return first, binary.BigEndian.Uint64(k[1:])
}

// record appends changes and removes those that are over the limits.
func (t tables) record(changes []kept) error {
	b := t.history()
	for _, k := range changes {
		first, last := ring(b.Cursor(), k.Kind)
		key := historyKey(k.Kind, last+1)
		if err := b.Put(key, encodeChange(key, k.Change)); err != nil {
			return err
		}
		for ; first > 0 && last+1-first >= k.Kind.limit(); first++ {
			if err := b.Delete(historyKey(k.Kind, first)); err != nil {
				return err
			}
		}
	}
	return nil
}

// changes returns the history, except changes that are corrupt or of an unknown
// kind.
func (t tables) changes() (all []kept) {
	b := t.history()
	if b == nil { // a read-only file of schema 1
		return nil
	}
	c := b.Cursor()
	for k, v := c.First(); k != nil; k, v = c.Next() {
		if change, ok := decodeChange(k, v); ok {
			all = append(all, kept{binary.BigEndian.Uint64(k[1:]), change})
		}
	}
	return all
}

// dropped returns until when changes were dropped at the limits, in Unix
// milliseconds: each kind has all from its first change on.
func (t tables) dropped() (until uint64) {
	b := t.history()
	if b == nil {
		return 0
	}
	for kind := ChangeFound; kind <= lastKind; kind++ {
		first, _ := ring(b.Cursor(), kind)
		if first <= 1 {
			continue
		}
		key := historyKey(kind, first)
		if c, ok := decodeChange(key, b.Get(key)); ok {
			until = max(until, uint64(c.At.UnixMilli()))
		}
	}
	return until
}

// addNewer appends the changes that are later than all that the file has.
func (t tables) addNewer(changes []kept) error {
	if len(changes) == 0 {
		return nil
	}
	var newest time.Time
	for _, k := range t.changes() {
		if k.At.After(newest) {
			newest = k.At
		}
	}
	return t.record(slices.DeleteFunc(changes, func(k kept) bool { return !k.At.After(newest) }))
}

// Tags of a change's fields; see encode.
const (
	tagAt      = 1 << 1 // Unix milliseconds
	tagDomain  = 2<<1 | withBytes
	tagOldMode = 3<<1 | withBytes
	tagNewMode = 4<<1 | withBytes
	tagAdded   = 5<<1 | withBytes // one for each
	tagRemoved = 6<<1 | withBytes // one for each
	tagRecord  = 7<<1 | withBytes
	tagDetail  = 8<<1 | withBytes
	tagCount   = 9 << 1
)

func encodeChange(key []byte, c Change) []byte {
	b := make([]byte, sumLen, 128)
	b = appendNumber(b, tagAt, c.At.UnixMilli())
	b = appendString(b, tagDomain, c.Domain.String())
	b = appendString(b, tagOldMode, c.OldMode)
	b = appendString(b, tagNewMode, c.NewMode)
	for _, p := range c.Added {
		b = appendString(b, tagAdded, p)
	}
	for _, p := range c.Removed {
		b = appendString(b, tagRemoved, p)
	}
	b = appendString(b, tagRecord, c.ID)
	b = appendString(b, tagDetail, c.Detail)
	b = appendNumber(b, tagCount, int64(c.Count))
	return seal(string(key), b)
}

func decodeChange(key, value []byte) (c Change, ok bool) {
	if len(key) != 9 || key[0] == 0 || ChangeKind(key[0]) > lastKind {
		return Change{}, false
	}
	if _, err := readHeader(string(key), value); err != nil {
		return Change{}, false
	}
	c.Kind = ChangeKind(key[0])
	c.At = time.UnixMilli(0).UTC()
	for f := range fields(value) {
		switch f.tag {
		case tagAt:
			c.At = time.UnixMilli(f.n).UTC()
		case tagDomain:
			var err error
			if c.Domain, err = mtasts.ParseDomain(string(f.bytes)); err != nil {
				return Change{}, false
			}
		case tagOldMode:
			c.OldMode = string(f.bytes)
		case tagNewMode:
			c.NewMode = string(f.bytes)
		case tagAdded:
			c.Added = append(c.Added, string(f.bytes))
		case tagRemoved:
			c.Removed = append(c.Removed, string(f.bytes))
		case tagRecord:
			c.ID = string(f.bytes)
		case tagDetail:
			c.Detail = string(f.bytes)
		case tagCount:
			c.Count = int(f.n)
		}
	}
	return c, true
}
