package store

import (
	"encoding/binary"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// entries are all kinds of entries.
func entries(tb testing.TB) map[string]Entry {
	plain := entry(tb, "example.com")
	failing := plain
	failing.FailedID, failing.Failures, failing.RetryAt = "2", 3, begin.Add(20*time.Minute)
	bare := Entry{Domain: plain.Domain, Policy: policy(tb, "version: STSv1\nmode: none\nmax_age: 1")}
	early := plain
	early.Fetched, early.Next = time.Unix(-1, 0).UTC(), time.Date(1, 1, 1, 0, 0, 1, 0, time.UTC)
	return map[string]Entry{"plain": plain, "failing": failing, "bare": bare, "before 1970": early}
}

func TestCodec(t *testing.T) {
	t.Parallel()
	for name, e := range entries(t) {
		value := encode(e)
		got, err := decode(e.Domain, value)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, got, sameEntry); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if over := len(value) - len(e.Policy.Text); over > 64 {
			t.Errorf("%s: %d octets beside the text, want at most 64", name, over)
		}
	}
}

// No bit of a value, and none of its key, can change unseen.
func TestDecodeFlippedBits(t *testing.T) {
	t.Parallel()
	e := entry(t, "example.com")
	value := encode(e)
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			if _, err := decode(e.Domain, value); !errors.Is(err, errDamaged) {
				t.Errorf("bit %d of octet %d flipped: error %v, want errDamaged", bit, i, err)
			}
			value[i] ^= 1 << bit
		}
	}
	if _, err := decode(domain(t, "example.net"), value); !errors.Is(err, errDamaged) {
		t.Errorf("under another key: error %v, want errDamaged", err)
	}
	for n := range value {
		if _, err := decode(e.Domain, value[:n]); !errors.Is(err, errDamaged) {
			t.Errorf("cut to %d octets: error %v, want errDamaged", n, err)
		}
	}
}

// A later daemon may add fields; this one reads what it knows.
func TestDecodeUnknownFields(t *testing.T) {
	t.Parallel()
	e := entry(t, "example.com")
	value := appendNumber(encode(e), 100<<1, 7)
	value = appendString(value, 101<<1|octets, "later")
	got, err := decode(e.Domain, seal(e, value))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(e, got, sameEntry); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// A sum that fits does not make sense of nonsense.
func TestDecodeMalformed(t *testing.T) {
	t.Parallel()
	e := entry(t, "example.com")
	for name, fields := range map[string]string{
		"no fields":         "",
		"no number":         "\x03",
		"number cut":        "\x03\x80",
		"octets missing":    "\x03\x04a",
		"negative length":   "\x03\x01",
		"policy is invalid": "\x13\x04ab",
	} {
		value := append(make([]byte, sumLen), fields...)
		if got, err := decode(e.Domain, seal(e, value)); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
	}
}

// seal makes the checksum of a value fit.
func seal(e Entry, value []byte) []byte {
	binary.BigEndian.PutUint32(value, checksum(e.Domain, value[sumLen:]))
	return value
}

func TestIndexKey(t *testing.T) {
	t.Parallel()
	before := ""
	for _, next := range []time.Time{time.Unix(-2, 0), time.Unix(-1, 0), time.Unix(0, 0), begin, begin.Add(time.Second)} {
		e := entry(t, "example.com")
		e.Next = next.UTC()
		key := indexKey(e)
		if string(key) <= before {
			t.Errorf("the key of %v sorts before the one before", next)
		}
		before = string(key)
		if at, d, ok := parseIndexKey(key); !ok || !at.Equal(next) || d != e.Domain {
			t.Errorf("parseIndexKey(%x) = %v, %v, %t; want %v, %v", key, at, d, ok, next, e.Domain)
		}
	}
	for _, key := range []string{"", "1234567", "12345678", "12345678EXAMPLE.com", "12345678com"} {
		if _, _, ok := parseIndexKey([]byte(key)); ok {
			t.Errorf("parseIndexKey(%q) is ok", key)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, e := range entries(f) {
		f.Add(encode(e)[sumLen:])
	}
	f.Fuzz(func(t *testing.T, fields []byte) {
		d := domain(t, "example.com")
		value := append(make([]byte, sumLen), fields...)
		_, _ = decode(d, value)
		e, err := decode(d, seal(Entry{Domain: d}, value))
		if err != nil {
			return
		}
		again, err := decode(d, encode(e))
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if diff := cmp.Diff(e, again, sameEntry); diff != "" {
			t.Errorf("-first +again:\n%s", diff)
		}
	})
}
