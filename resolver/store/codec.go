package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"iter"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// A value in the file is a checksum and then fields: a tag of one byte, a number
// as a varint and, if the tag is odd, as many bytes as the number says. A field
// without content is left out, and an unknown one is skipped, so that a field may
// be added without a new schema. A tag is never given another meaning.
//
// Times are wall times in Unix seconds, tagFetchedAt a Moment.
const (
	tagID           = 1<<1 | withBytes
	tagFetched      = 2 << 1
	tagRecheck      = 3 << 1
	tagUsed         = 4 << 1
	tagNext         = 5 << 1
	tagFailedID     = 6<<1 | withBytes
	tagFailures     = 7 << 1
	tagRetryAt      = 8 << 1
	tagText         = 9<<1 | withBytes
	tagVerdict      = 10<<1 | withBytes // one for each
	tagBoot         = 11 << 1           // of the writing; this and what follows since schema 2
	tagOrigin       = 12 << 1           // of that boot, as of the writing
	tagFetchedAt    = 13 << 1           // if the policy was fetched in that boot
	tagFailedWord   = 14<<1 | withBytes
	tagFailingSince = 15 << 1
	tagRecordGone   = 16 << 1
	tagMismatch     = 17 << 1
	tagEnded        = 18 << 1
	tagToMX         = 21 << 1
	tagFollowUps    = 19 << 1
	tagPurges       = 20 << 1
	tagRefused      = 22 << 1
	tagLeased       = 23 << 1
	tagOriginal     = 24 << 1 // if it is not the same as Fetched
	tagUnjudged     = 25 << 1

	withBytes = 1
	malformed = 0 // no tag: see fields
)

// sumLen is the length of a value's checksum, CRC-32C over key and fields. It
// finds corruption, not malice.
const sumLen = 4

var errCorrupt = errors.New("the value is corrupt")

// encode returns the value of e, stamped with s.
func encode(e Entry, s stamp) []byte {
	b := make([]byte, sumLen, sumLen+96+len(e.Policy.Text))
	b = appendNumber(b, tagBoot, int64(s.boot))
	b = appendNumber(b, tagOrigin, s.origin)
	b = appendNumber(b, tagPurges, int64(e.Purges))
	b = appendString(b, tagID, e.ID)
	if f := s.fetched(e.Fetched); !f.Wall.IsZero() {
		b = binary.AppendVarint(append(b, tagFetched), f.Wall.Unix())
		if !f.Original.IsZero() && !f.Original.Equal(f.Wall) {
			b = binary.AppendVarint(append(b, tagOriginal), f.Original.Unix())
		}
	}
	if e.Fetched.ThisBoot {
		b = binary.AppendVarint(append(b, tagFetchedAt), int64(e.Fetched.At))
	}
	for _, t := range e.times() {
		if m := *t.at; m != 0 && m != clock.Never {
			b = binary.AppendVarint(append(b, t.tag), s.wall(m, t.up))
		}
	}
	b = appendString(b, tagFailedID, e.FailedID)
	b = appendString(b, tagFailedWord, e.FailedWord)
	b = appendNumber(b, tagFailures, int64(e.Failures))
	b = appendNumber(b, tagFollowUps, int64(e.FollowUps))
	if e.Ended {
		b = appendNumber(b, tagEnded, 1)
	}
	if e.ToMX {
		b = appendNumber(b, tagToMX, 1)
	}
	if e.Unjudged {
		b = appendNumber(b, tagUnjudged, 1)
	}
	b = appendString(b, tagText, e.Policy.Text)
	for _, v := range e.Verdicts {
		b = appendString(b, tagVerdict, string(encodeVerdict(v, s)))
	}
	return seal(e.Domain.String(), b)
}

// decode reads the value of d's key. now is the present boot; it judges the times
// of values that another boot wrote. The error is errCorrupt or says that the
// policy is invalid.
func decode(d mtasts.Domain, value []byte, now stamp) (Entry, error) {
	h, err := readHeader(d.String(), value)
	if err != nil {
		return Entry{}, err
	}
	return h.decode(d, value, now)
}

// decode reads the value whose header is h; see the function.
func (h header) decode(d mtasts.Domain, value []byte, now stamp) (Entry, error) {
	at, sameBoot := now, h.boot == now.boot
	if sameBoot {
		at = h.stamp
	}
	e := Entry{Domain: d, Purges: h.purges, Failures: h.failures}
	times := e.times()
	var text string
	for f := range fields(value) {
		switch f.tag {
		case tagID:
			e.ID = string(f.bytes)
		case tagFetched:
			e.Fetched.Wall = unix(clamp(f.n, maxWall))
		case tagOriginal:
			e.Fetched.Original = unix(clamp(f.n, maxWall))
		case tagFetchedAt:
			if sameBoot {
				e.Fetched.At, e.Fetched.ThisBoot = clock.Moment(f.n), true
			}
		case tagFailedID:
			e.FailedID = string(f.bytes)
		case tagFailedWord:
			e.FailedWord = string(f.bytes)
		case tagFollowUps:
			e.FollowUps = int(f.n)
		case tagEnded:
			e.Ended = f.n != 0
		case tagToMX:
			e.ToMX = f.n != 0
		case tagUnjudged:
			e.Unjudged = f.n != 0
		case tagText:
			text = string(f.bytes)
		case tagVerdict:
			v, err := decodeVerdict(f.bytes, at)
			if err != nil {
				return Entry{}, err
			}
			e.Verdicts = append(e.Verdicts, v)
		default:
			for i := range times {
				if times[i].tag == f.tag {
					*times[i].at = at.moment(f.n)
				}
			}
		}
	}
	e.Fetched = now.fetched(e.Fetched)
	var err error
	e.Policy, err = mtasts.ParsePolicy(text)
	return e, err
}

// header has the fields of a value that the file needs without its policy.
type header struct {
	stamp           // boot is 0 in a value of schema 1
	purges   uint64 // Entry.Purges
	failures int    // Entry.Failures
	next     int64  // Entry.Next as a wall time
	hasNext  bool
}

// readHeader checks a value and reads its header. The error is errCorrupt.
func readHeader(key string, value []byte) (h header, err error) {
	if len(value) < sumLen || binary.BigEndian.Uint32(value) != checksum(key, value[sumLen:]) {
		return header{}, errCorrupt
	}
	for f := range fields(value) {
		switch f.tag {
		case malformed:
			return header{}, errCorrupt
		case tagBoot:
			h.boot = uint64(f.n)
		case tagOrigin:
			h.origin = f.n
		case tagPurges:
			h.purges = uint64(f.n)
		case tagFailures:
			h.failures = int(f.n)
		case tagNext:
			h.next, h.hasNext = f.n, true
		}
	}
	return h, nil
}

// field is one field of a value. bytes is nil unless the tag is odd.
type field struct {
	tag   byte
	n     int64
	bytes []byte
}

// fields yields the fields of a value, and at last one tagged malformed if the rest
// is not a field. readHeader finds that, so its callers need not look for it.
func fields(value []byte) iter.Seq[field] {
	return func(yield func(field) bool) {
		for rest := value[sumLen:]; len(rest) > 0; {
			n, width := binary.Varint(rest[1:])
			f := field{tag: rest[0], n: n}
			withBytes := f.tag&withBytes != 0
			if width <= 0 || withBytes && (n < 0 || n > int64(len(rest)-1-width)) {
				yield(field{tag: malformed})
				return
			}
			if rest = rest[1+width:]; withBytes {
				f.bytes, rest = rest[:n], rest[n:]
			}
			if !yield(f) {
				return
			}
		}
	}
}

// A verdict is its port with the lowest bit for MX, its kind and its end.

func encodeVerdict(v Verdict, s stamp) []byte {
	target := int64(v.Port) << 1
	if v.MX {
		target |= 1
	}
	b := binary.AppendVarint(nil, target)
	b = binary.AppendVarint(b, int64(v.Kind))
	return binary.AppendVarint(b, s.wall(v.Until, false))
}

func decodeVerdict(b []byte, s stamp) (Verdict, error) {
	var n [3]int64
	for i := range n {
		var width int
		if n[i], width = binary.Varint(b); width <= 0 {
			return Verdict{}, errCorrupt
		}
		b = b[width:]
	}
	target, kind, until := n[0], n[1], n[2]
	if target>>1 != int64(uint16(target>>1)) || kind != int64(uint8(kind)) || len(b) > 0 {
		return Verdict{}, errCorrupt
	}
	return Verdict{MX: target&1 == 1, Port: uint16(target >> 1), Kind: uint8(kind), Until: s.moment(until)}, nil
}

func appendNumber(b []byte, tag byte, n int64) []byte {
	if n == 0 {
		return b
	}
	return binary.AppendVarint(append(b, tag), n)
}

func appendString(b []byte, tag byte, s string) []byte {
	if s == "" {
		return b
	}
	return append(appendNumber(b, tag, int64(len(s))), s...)
}

// seal puts the checksum of a key and the fields of its value at the head of the
// value.
func seal(key string, value []byte) []byte {
	binary.BigEndian.PutUint32(value, checksum(key, value[sumLen:]))
	return value
}

func checksum(key string, fields []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(key), table), table, fields)
}
