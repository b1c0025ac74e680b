package shared

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/mtasts"
)

// now is the time of the codec's tests.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

var key = []byte("a key of the fleet, 32 octets...") // the recorded values were made with it

func example(tb testing.TB) Value {
	tb.Helper()
	return Value{Entry: &Entry{
		ID: "20260701", Policy: policy(tb, enforced), Fetched: now.Add(-time.Hour), Recheck: now.Add(time.Minute), Purges: 6,
	}}
}

func TestCodec(t *testing.T) {
	t.Parallel()
	largest := example(t)
	filler := enforced + strings.Repeat("x-filler: 0123456789012345678901234567890123456789\n", 2000)
	largest.Entry.Policy = policy(t, filler[:mtasts.MaxPolicyLen-len("\n")]+"\n")
	for _, c := range []codec{{}, {key}} {
		for _, v := range []Value{example(t), largest, {Purged: now}, {Purged: now, Number: 8}} {
			text := c.encode("example.com", v)
			for _, reader := range []codec{{}, c} { // a node without key reads values with a MAC
				got, err := reader.decode("example.com", text, now, 0)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(v, got); diff != "" {
					t.Error(diff)
				}
			}
		}
	}
}

// A decoded value does not keep the text that it was decoded from in memory.
func TestDecodedIsKeptAlone(t *testing.T) {
	t.Parallel()
	text := codec{}.encode("example.com", example(t))
	text = strings.Replace(text, "\n\n", "\nnew: "+strings.Repeat("y", 60<<10)+"\n\n", 1)
	got, err := codec{}.decode("example.com", text, now, 0)
	if err != nil {
		t.Fatal(err)
	}
	start := uintptr(unsafe.Pointer(unsafe.StringData(text)))
	for name, kept := range map[string]string{"id": got.Entry.ID, "policy": got.Entry.Policy.Text} {
		if at := uintptr(unsafe.Pointer(unsafe.StringData(kept))); start <= at && at < start+uintptr(len(text)) {
			t.Errorf("the %s keeps the whole value in memory", name)
		}
	}
}

// The form of values is a promise to nodes of other versions. The first version reads
// these as its own: a policy has one more field, and it reads only the first line of a
// purge.
func TestSchema(t *testing.T) {
	t.Parallel()
	gone := example(t)
	gone.Entry.Policy = policy(t, "version: STSv1\nmode: none\nmax_age: 0\n")
	const policyText = "1782903600 1 policy -\npurges: 6\nid: 20260701\nrecheck: 1782907260\n\n" + enforced
	for _, tc := range []struct {
		codec codec
		value Value
		want  string
	}{
		{codec{}, example(t), policyText},
		{codec{}, Value{Purged: now, Number: 8}, "1782907200 1 purge -\npurges: 8\n"},
		{codec{}, gone, "1782903600 1 purge -\npurges: 6\nby: time\n"},
		{codec{key}, example(t), strings.Replace(policyText, "-", "359328067b497404e53599136ed3798a2cad3c07a387c5db7d9479c523352647", 1)},
		{codec{key}, Value{Purged: now, Number: 8}, "1782907200 1 purge 3eceadbf891346228c800f779514775be61376629ce784253428bd9dac344b3f\npurges: 8\n"},
	} {
		if got := tc.codec.encode("example.com", tc.value); got != tc.want {
			t.Errorf("got %q\nwant %q", got, tc.want)
		}
	}
	// A version to come may write more.
	later := strings.Replace(policyText, "\n\n", "\nnew: thing\n\n", 1)
	got, err := codec{}.decode("example.com", later, now, 0)
	if err != nil || !cmp.Equal(got, example(t)) {
		t.Errorf("a field that is not known: %+v, %v", got, err)
	}
}

// Values as the first version, which numbered nothing, wrote them.
func TestSchemaBefore(t *testing.T) {
	t.Parallel()
	unnumbered := example(t)
	unnumbered.Entry.Purges = 0
	const policyText = "1782903600 1 policy -\nid: 20260701\nrecheck: 1782907260\n\n" + enforced
	for _, tc := range []struct {
		codec codec
		text  string
		want  Value
	}{
		{codec{}, policyText, unnumbered},
		{codec{}, "1782907200 1 purge -\n", Value{Purged: now}},
		{codec{key}, strings.Replace(policyText, "-", "f17282f6c92346dc1802cbc50a91341bd6b8100ade468fb357a10c94f0ebf8b9", 1), unnumbered},
		{codec{key}, "1782907200 1 purge 845efc4ddbbd46d7878a74ebbcdb35e2d431454e52da1d9c7e5d8cdbe7e813fe\n", Value{Purged: now}},
	} {
		got, err := tc.codec.decode("example.com", tc.text, now, 0)
		if diff := cmp.Diff(tc.want, got); err != nil || diff != "" {
			t.Errorf("%q: %v\n%s", tc.text, err, diff)
		}
	}
}

func TestDecodeBad(t *testing.T) {
	t.Parallel()
	good := codec{}.encode("example.com", example(t))
	change := func(old, replacement string) string {
		if !strings.Contains(good, old) {
			t.Fatalf("%q is not in %q", old, good)
		}
		return strings.Replace(good, old, replacement, 1)
	}
	syntax := errors.New("a *mtasts.SyntaxError")
	for name, tc := range map[string]struct {
		text string
		want error
	}{
		"nothing":              {"", errSchema},
		"anything":             {"\x00\xff\n\n", errSchema},
		"a schema to come":     {change(" 1 policy", " 2 policy"), errSchema},
		"a kind to come":       {change("policy -", "news -"), errSchema},
		"more words":           {change("policy -", "policy - -"), errSchema},
		"too long":             {good + strings.Repeat("x", maxValueLen), errTooLong},
		"no time":              {change("1782903600", "yesterday"), errTime},
		"before 1970":          {change("1782903600", "-1"), errTime},
		"a time beyond time":   {change("1782903600", "99999999999999999999"), errTime},
		"a time to come":       {change("1782903600", "1782907501"), errTime},
		"no fields":            {change("purges: 6\nid: 20260701\nrecheck: 1782907260\n\n", ""), errFields},
		"no empty line":        {change("\n\n", "\n"), errFields},
		"no field":             {change("id: ", "id="), errFields},
		"no recheck":           {change("1782907260", "soon"), errFields},
		"no id":                {change("id: 20260701", "other: 1"), errID},
		"an empty id":          {change("id: 20260701", "id: "), errID},
		"an id that goes on":   {change("id: 20260701", "id: a; x=y"), errID},
		"an id of controls":    {change("id: 20260701", "id: \x1b[2J"), errID},
		"a number of words":    {change("purges: 6", "purges: six"), errFields},
		"a number too high":    {change("purges: 6", "purges: 4294967297"), errNumber},
		"a number beyond all":  {change("purges: 6", "purges: 99999999999999999999"), errFields},
		"a purge of words":     {"1782903600 1 purge -\npurges: six\n", errFields},
		"a purge too high":     {"1782903600 1 purge -\npurges: 4294967297\n", errNumber},
		"a purge to come":      {"1782907501 1 purge -\n", errTime},
		"one by time to come":  {"1782907501 1 purge -\npurges: 6\nby: time\n", errTime},
		"a policy of controls": {change("mx.example", "mx.example\x01"), syntax},
		"no policy":            {change("version: STSv1", ""), syntax},
		"a cut policy":         {strings.TrimSuffix(good, "86400\r\n"), syntax},
	} {
		v, err := codec{}.decode("example.com", tc.text, now, 0)
		if _, ok := errors.AsType[*mtasts.SyntaxError](err); ok {
			err = syntax
		}
		if !errors.Is(err, tc.want) || !cmp.Equal(v, Value{}) {
			t.Errorf("%s: %+v, %v, want %v", name, v, err, tc.want)
		}
	}
	if _, err := (codec{}).decode("example.com", change("1782903600", "1782907500"), now, 0); err != nil {
		t.Errorf("5 min in the future: %v", err)
	}
	// The clock of whoever purged does not matter if the purge has a number.
	want := Value{Purged: time.Unix(1882907200, 0).UTC(), Number: 6}
	if v, err := (codec{}).decode("*", "1882907200 1 purge -\npurges: 6\n", now, 0); err != nil || !cmp.Equal(v, want) {
		t.Errorf("a numbered purge of the future: %+v, %v", v, err)
	}
}

// With a key only a value that was written with it for that domain is accepted.
func TestForged(t *testing.T) {
	t.Parallel()
	c := codec{key}
	good := c.encode("example.com", example(t))
	if _, err := c.decode("example.com", good, now, 0); err != nil {
		t.Fatal(err)
	}
	forged := map[string]string{
		"no MAC":      codec{}.encode("example.com", example(t)),
		"other key":   codec{[]byte("another key of 32 bytes and more")}.encode("example.com", example(t)),
		"of a domain": c.encode("example.org", example(t)),
		"cut short":   strings.TrimSuffix(good, "\n"),
		"empty MAC":   strings.Replace(good, strings.Fields(good)[3], "", 1),
		"half a MAC":  strings.Replace(good, strings.Fields(good)[3], strings.Fields(good)[3][:32], 1),
	}
	for i := range len(good) {
		if b := []byte(good); b[i] != 'a' {
			b[i] = 'a'
			forged[fmt.Sprintf("byte %d", i)] = string(b)
		}
	}
	for name, text := range forged {
		if v, err := c.decode("example.com", text, now, 0); err == nil {
			t.Errorf("%s: %q is read as %+v", name, text, v)
		}
	}
}

// A decoded value stays the same when it is encoded and decoded again.
func FuzzDecode(f *testing.F) {
	f.Add(codec{}.encode("example.com", example(f)))
	f.Add(codec{}.encode("example.com", Value{Purged: now}))
	f.Add(codec{}.encode("example.com", Value{Purged: now, Number: 8}))
	f.Add("1782903600 1 purge -\npurges: 6\nby: time\n")
	f.Add(codec{key}.encode("example.com", example(f)))
	f.Add("1782903600 1 policy -\nx: y\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		v, err := codec{}.decode("example.com", text, now, 0)
		if err != nil {
			return
		}
		again, err := codec{key}.decode("example.com", codec{key}.encode("example.com", v), now, 0)
		if diff := cmp.Diff(v, again); err != nil || diff != "" {
			t.Errorf("%v\n%s", err, diff)
		}
	})
}

// The bound decides the same however a stream is split, and never exceeds its limit.
func FuzzReplyBound(f *testing.F) {
	f.Add([]byte("*2\r\n$3\r\nabc\r\n:1\r\n"))
	f.Add([]byte("$-1\r\n+OK\r\n-ERR\r\n"))
	f.Fuzz(func(t *testing.T, stream []byte) {
		var whole, single replyBound
		err := whole.see(stream)
		var errSingle error
		for i := 0; i < len(stream) && errSingle == nil; i++ {
			errSingle = single.see(stream[i : i+1])
		}
		if (err == nil) != (errSingle == nil) {
			t.Errorf("at once: %v, byte by byte: %v", err, errSingle)
		}
		if err == nil && (whole.left < 0 || whole.text < 0 || whole.text > maxReply || whole.left > maxReply) {
			t.Errorf("%+v", whole)
		}
	})
}

func TestParseKey(t *testing.T) {
	t.Parallel()
	good := strings.Repeat("k", minKeyLen)
	for _, text := range []string{good, good + "\n", "\r\n " + good + "\r\n"} {
		if key, err := ParseKey([]byte(text)); err != nil || string(key) != good {
			t.Errorf("%q: %q, %v", text, key, err)
		}
	}
	for _, text := range []string{"", "\n", good[1:] + "\n", good[1:] + " "} {
		if key, err := ParseKey([]byte(text)); err == nil {
			t.Errorf("%q: %q", text, key)
		}
	}
}
