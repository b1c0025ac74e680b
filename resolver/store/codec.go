package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// A value in the file is a checksum and then fields: a tag of one octet, a
// number as a varint and, where the tag is odd, as many octets as the number
// says. A field that holds nothing is left out, and one that is not known is
// skipped, so that a field may be added without a new schema. A tag is never
// given another meaning.
const (
	tagID       = 1<<1 | octets
	tagFetched  = 2 << 1
	tagRecheck  = 3 << 1
	tagUsed     = 4 << 1
	tagNext     = 5 << 1
	tagFailedID = 6<<1 | octets
	tagFailures = 7 << 1
	tagRetryAt  = 8 << 1
	tagText     = 9<<1 | octets
	tagVerdict  = 10<<1 | octets // one for each

	octets = 1
)

// sumLen is the length of a value's checksum, CRC-32C over key and fields. It
// is there to find decay, not malice.
const sumLen = 4

var errDamaged = errors.New("the value is damaged")

func encode(e Entry) []byte {
	b := make([]byte, sumLen, sumLen+64+len(e.Policy.Text))
	b = appendString(b, tagID, e.ID)
	b = appendTime(b, tagFetched, e.Fetched)
	b = appendTime(b, tagRecheck, e.Recheck)
	b = appendTime(b, tagUsed, e.Used)
	b = appendTime(b, tagNext, e.Next)
	b = appendString(b, tagFailedID, e.FailedID)
	if e.Failures != 0 {
		b = appendNumber(b, tagFailures, int64(e.Failures))
	}
	b = appendTime(b, tagRetryAt, e.RetryAt)
	b = appendString(b, tagText, e.Policy.Text)
	for _, v := range e.Verdicts {
		b = appendString(b, tagVerdict, string(encodeVerdict(v)))
	}
	binary.BigEndian.PutUint32(b, checksum(e.Domain, b[sumLen:]))
	return b
}

// decode reads the value of d's key. The error is errDamaged or says that the
// policy is none.
func decode(d mtasts.Domain, value []byte) (Entry, error) {
	if len(value) < sumLen || binary.BigEndian.Uint32(value) != checksum(d, value[sumLen:]) {
		return Entry{}, errDamaged
	}
	e := Entry{Domain: d}
	var text string
	for rest := value[sumLen:]; len(rest) > 0; {
		tag := rest[0]
		n, width := binary.Varint(rest[1:])
		if width <= 0 {
			return Entry{}, errDamaged
		}
		rest = rest[1+width:]
		var field []byte
		if tag&octets != 0 {
			if n < 0 || n > int64(len(rest)) {
				return Entry{}, errDamaged
			}
			field, rest = rest[:n], rest[n:]
		}
		switch tag {
		case tagID:
			e.ID = string(field)
		case tagFetched:
			e.Fetched = unix(n)
		case tagRecheck:
			e.Recheck = unix(n)
		case tagUsed:
			e.Used = unix(n)
		case tagNext:
			e.Next = unix(n)
		case tagFailedID:
			e.FailedID = string(field)
		case tagFailures:
			e.Failures = int(n)
		case tagRetryAt:
			e.RetryAt = unix(n)
		case tagText:
			text = string(field)
		case tagVerdict:
			v, err := decodeVerdict(field)
			if err != nil {
				return Entry{}, err
			}
			e.Verdicts = append(e.Verdicts, v)
		}
	}
	var err error
	e.Policy, err = mtasts.ParsePolicy(text)
	return e, err
}

// A verdict is its port with the lowest bit for MX, its kind and its end.

func encodeVerdict(v Verdict) []byte {
	target := int64(v.Port) << 1
	if v.MX {
		target |= 1
	}
	b := binary.AppendVarint(nil, target)
	b = binary.AppendVarint(b, int64(v.Kind))
	return binary.AppendVarint(b, v.Until.Unix())
}

func decodeVerdict(field []byte) (Verdict, error) {
	var n [3]int64
	for i := range n {
		var width int
		if n[i], width = binary.Varint(field); width <= 0 {
			return Verdict{}, errDamaged
		}
		field = field[width:]
	}
	target, kind, until := n[0], n[1], n[2]
	if target>>1 != int64(uint16(target>>1)) || kind != int64(uint8(kind)) || len(field) > 0 {
		return Verdict{}, errDamaged
	}
	return Verdict{MX: target&1 == 1, Port: uint16(target >> 1), Kind: uint8(kind), Until: unix(until)}, nil
}

func appendNumber(b []byte, tag byte, n int64) []byte {
	return binary.AppendVarint(append(b, tag), n)
}

func appendTime(b []byte, tag byte, t time.Time) []byte {
	if t.IsZero() {
		return b
	}
	return appendNumber(b, tag, t.Unix())
}

func appendString(b []byte, tag byte, s string) []byte {
	if s == "" {
		return b
	}
	return append(appendNumber(b, tag, int64(len(s))), s...)
}

func checksum(d mtasts.Domain, fields []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	return crc32.Update(crc32.Checksum([]byte(d.String()), table), table, fields)
}

func unix(seconds int64) time.Time { return time.Unix(seconds, 0).UTC() }
