package store

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/clock"
)

// thisBoot is the stamp of all codec tests.
var thisBoot = stamp{boot: 3, origin: begin.Add(-uptime).Unix()}

// entries are all kinds of entries, as the file has them.
func entries(tb testing.TB) map[string]Entry {
	plain := entry(tb, "example.com")
	plain.Fetched.Wall = begin
	full := plain
	full.FailedID, full.FailedWord, full.Failures = "2", "sts-policy-fetch-error", 3
	full.RetryAt, full.FailingSince = at(20*time.Minute), at(-time.Minute)
	full.RecordGone, full.Mismatch = at(-time.Hour), at(-2*time.Hour)
	full.Refused, full.Leased = at(-3*time.Hour), at(-4*time.Hour)
	full.ToMX, full.Unjudged = true, true
	full.Ended, full.FollowUps, full.Purges = true, 2, 1<<40
	full.Verdicts = []Verdict{{MX: true, Port: 25, Kind: 3, Until: at(time.Hour)}, {Port: 65535, Kind: 255, Until: at(-time.Hour)}}
	bare := Entry{Domain: plain.Domain, Policy: policy(tb, "version: STSv1\nmode: none\nmax_age: 1")}
	earlier := plain
	earlier.Fetched = Fetched{Wall: time.Unix(-1, 0).UTC()}
	earlier.Used = at(-2 * uptime) // before this boot
	return map[string]Entry{"plain": plain, "full": full, "bare": bare, "fetched in an earlier boot": earlier}
}

func TestCodec(t *testing.T) {
	t.Parallel()
	for name, e := range entries(t) {
		value := encode(e, thisBoot)
		got, err := decode(e.Domain, value, thisBoot)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(e, got, sameEntry); diff != "" {
			t.Errorf("%s: -want +got:\n%s", name, diff)
		}
		if over := len(value) - len(e.Policy.Text); name != "full" && over > 80 {
			t.Errorf("%s: %d bytes next to the text, want at most 80", name, over)
		}
	}
}

// What must not be done too early is rounded up, the rest down; the fetch is exact.
func TestRounding(t *testing.T) {
	t.Parallel()
	e := entry(t, "example.com")
	late, floor, ceil := at(500*time.Millisecond), present, at(time.Second)
	e.Fetched.At, e.Recheck, e.Next, e.RetryAt = late, late, late, late
	e.Used, e.FailingSince, e.RecordGone, e.Mismatch = late, late, late, late
	e.Verdicts = []Verdict{{Port: 25, Until: late}}
	want := e
	want.Fetched.Wall = begin
	want.Recheck, want.Next, want.RetryAt = ceil, ceil, ceil
	want.Used, want.FailingSince, want.RecordGone, want.Mismatch = floor, floor, floor, floor
	want.Verdicts = []Verdict{{Port: 25, Until: floor}}
	for range 3 { // and not again each time that it is written
		got, err := decode(e.Domain, encode(e, thisBoot), thisBoot)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got, sameEntry); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		e = got
	}
}

// In the boot of the writing the wall clock does not matter. In another it decides.
func TestDecodeAfterStep(t *testing.T) {
	t.Parallel()
	const step = 60 * 24 * time.Hour
	e := entries(t)["full"]
	value := encode(e, thisBoot)
	stepped := thisBoot
	stepped.origin += int64(step.Seconds())

	want := e
	want.Fetched.Wall = begin.Add(step)
	got, err := decode(e.Domain, value, stepped)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, sameEntry); diff != "" {
		t.Errorf("in the same boot: -want +got:\n%s", diff)
	}
	back, err := decode(e.Domain, encode(got, stepped), thisBoot)
	if err != nil || !got.Fetched.Original.Equal(begin) || !back.Fetched.Original.Equal(begin) {
		t.Errorf("fetched %+v, after a step back %+v, want the original time %v", got.Fetched, back.Fetched, begin)
	}

	// The next boot began an hour after the writing.
	next := stamp{boot: 4, origin: begin.Add(time.Hour).Unix()}
	got, err = decode(e.Domain, value, next)
	if err != nil {
		t.Fatal(err)
	}
	if want := (Fetched{Wall: begin}); got.Fetched != want || got.Fetched.Moment(clock.OriginAt(begin.Add(time.Hour))) != -clock.Moment(time.Hour) {
		t.Errorf("in the next boot: fetched %+v, want %+v", got.Fetched, want)
	}
	if got.RetryAt != clock.Moment(-40*time.Minute) || got.Verdicts[0].Until != 1 { // 0 is "not set"
		t.Errorf("in the next boot: RetryAt %v, Until %v; want -40m, 1ns", got.RetryAt, got.Verdicts[0].Until)
	}
	// A fetch of an earlier boot keeps its wall time when it is written again.
	got, err = decode(e.Domain, encode(got, next), stamp{boot: 4, origin: next.origin + 1e6})
	if err != nil || got.Fetched.ThisBoot || !got.Fetched.Wall.Equal(begin) {
		t.Errorf("written again: fetched %+v, %v", got.Fetched, err)
	}
}

func TestFetchedEqual(t *testing.T) {
	t.Parallel()
	here := Fetched{Wall: begin, At: present, ThisBoot: true}
	for _, tc := range []struct {
		f, g Fetched
		want bool
	}{
		{here, here, true},
		{here, Fetched{Wall: begin.Add(time.Hour), At: present, ThisBoot: true}, true}, // the clock was set
		{here, Fetched{Wall: begin, At: present.Add(time.Second), ThisBoot: true}, false},
		{here, Fetched{Wall: begin, At: present / clock.Moment(time.Second) * clock.Moment(time.Second), ThisBoot: true}, true}, // as the file has it
		{here, Fetched{Wall: begin}, true}, // as another node has it
		{Fetched{Wall: begin}, Fetched{Wall: begin.Add(time.Millisecond)}, true},
		{Fetched{Wall: begin}, Fetched{Wall: begin.Add(time.Second)}, false},
	} {
		if tc.f.Equal(tc.g) != tc.want || tc.g.Equal(tc.f) != tc.want {
			t.Errorf("%+v equals %+v: want %t", tc.f, tc.g, tc.want)
		}
	}
}

// No bit of a value, and none of its key, can change unseen.
func TestDecodeFlippedBits(t *testing.T) {
	t.Parallel()
	e := entry(t, "example.com")
	value := encode(e, thisBoot)
	for i := range value {
		for bit := range 8 {
			value[i] ^= 1 << bit
			if _, err := decode(e.Domain, value, thisBoot); !errors.Is(err, errCorrupt) {
				t.Errorf("bit %d of byte %d flipped: error %v, want errCorrupt", bit, i, err)
			}
			value[i] ^= 1 << bit
		}
	}
	if _, err := decode(domain(t, "example.net"), value, thisBoot); !errors.Is(err, errCorrupt) {
		t.Errorf("under another key: error %v, want errCorrupt", err)
	}
	for n := range value {
		if _, err := decode(e.Domain, value[:n], thisBoot); !errors.Is(err, errCorrupt) {
			t.Errorf("cut to %d bytes: error %v, want errCorrupt", n, err)
		}
	}
}

// A later daemon may add fields; this one reads the fields that it knows.
func TestDecodeUnknownFields(t *testing.T) {
	t.Parallel()
	e := entry(t, "example.com")
	value := appendNumber(encode(e, thisBoot), 100<<1, 7)
	value = appendString(value, 101<<1|withBytes, "later")
	got, err := decode(e.Domain, seal(e.Domain.String(), value), thisBoot)
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
		"bytes missing":     "\x03\x04a",
		"negative length":   "\x03\x01",
		"policy is invalid": "\x13\x04ab",
	} {
		value := append(make([]byte, sumLen), fields...)
		if got, err := decode(e.Domain, seal(e.Domain.String(), value), thisBoot); err == nil {
			t.Errorf("%s: %+v, want an error", name, got)
		}
	}
}

func TestIndexKey(t *testing.T) {
	t.Parallel()
	before := ""
	for _, next := range []int64{-1 << 62, -2, -1, 0, begin.Unix(), begin.Unix() + 1} {
		key, failing := header{next: next, hasNext: true, failures: 1}.place("example.com")
		if string(key) <= before || !failing {
			t.Errorf("the key of %v sorts before the one before, or is not failing: %t", next, failing)
		}
		before = string(key)
		if at, d, ok := parseIndexKey(key); !ok || at != next || d.String() != "example.com" {
			t.Errorf("parseIndexKey(%x) = %v, %v, %t; want %v, example.com", key, at, d, ok, next)
		}
	}
	if key, _ := (header{}).place("example.com"); key != nil {
		t.Errorf("without a Next: key %x", key)
	}
	for _, key := range []string{"", "1234567", "12345678", "12345678EXAMPLE.com", "12345678com"} {
		if _, _, ok := parseIndexKey([]byte(key)); ok {
			t.Errorf("parseIndexKey(%q) is ok", key)
		}
	}
}

// A decoded entry stays the same when it is encoded and decoded again.
func FuzzDecode(f *testing.F) {
	for _, e := range entries(f) {
		f.Add(encode(e, thisBoot)[sumLen:], thisBoot.origin)
		f.Add(encode(e, stamp{boot: 1, origin: 0})[sumLen:], int64(1))
	}
	f.Fuzz(func(t *testing.T, fields []byte, origin int64) {
		d := domain(t, "example.com")
		now := stamp{thisBoot.boot, origin}
		value := append(make([]byte, sumLen), fields...)
		_, _ = decode(d, value, now)
		e, err := decode(d, seal(d.String(), value), now)
		if err != nil {
			return
		}
		first := encode(e, now)
		again, err := decode(d, first, now)
		if err != nil {
			t.Fatalf("what was decoded cannot be encoded: %v", err)
		}
		if e.Fetched.Equal(again.Fetched) == false || e.Purges != again.Purges || e.Policy.Text != again.Policy.Text {
			t.Errorf("%+v became %+v", e, again)
		}
		later, err := decode(d, encode(again, now), now)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(again, later, sameEntry); diff != "" {
			t.Errorf("-first +again:\n%s", diff)
		}
	})
}
