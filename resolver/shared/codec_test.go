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

// now is when the codec's tests play.
var now = time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)

var key = []byte("a key of the fleet, 32 octets...")

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
		for _, v := range []Value{example(t), largest, {Purged: now}} {
			text := c.encode("example.com", v)
			for _, reader := range []codec{{}, c} { // who has no key reads what has a MAC
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

// What is kept of a value takes no more memory than it has octets itself, however
// long the fields are that are skipped.
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

// What the values look like is a promise to nodes of other versions.
func TestSchema(t *testing.T) {
	t.Parallel()
	const want = "1782903600 1 policy -\npurges: 6\nid: 20260701\nrecheck: 1782907260\n\n" + enforced
	if got := (codec{}).encode("example.com", example(t)); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	if got, want := (codec{}).encode("*", Value{Purged: now}), "1782907200 1 purge -\npurges: 0\n"; got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
	// A version to come may write more.
	later := strings.Replace(want, "\n\n", "\nnew: thing\n\n", 1)
	got, err := codec{}.decode("example.com", later, now, 0)
	if err != nil || !cmp.Equal(got, example(t)) {
		t.Errorf("a field that is not known: %+v, %v", got, err)
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
}

// With a key nothing is believed but what a node of the fleet wrote for that
// domain.
func TestForged(t *testing.T) {
	t.Parallel()
	c := codec{key}
	good := c.encode("example.com", example(t))
	if _, err := c.decode("example.com", good, now, 0); err != nil {
		t.Fatal(err)
	}
	forged := map[string]string{
		"no MAC":      codec{}.encode("example.com", example(t)),
		"other key":   codec{[]byte("another key of another fleet....")}.encode("example.com", example(t)),
		"of a domain": c.encode("example.org", example(t)),
		"cut short":   strings.TrimSuffix(good, "\n"),
		"empty MAC":   strings.Replace(good, strings.Fields(good)[3], "", 1),
		"half a MAC":  strings.Replace(good, strings.Fields(good)[3], strings.Fields(good)[3][:32], 1),
	}
	for i := range len(good) {
		if b := []byte(good); b[i] != 'a' {
			b[i] = 'a'
			forged[fmt.Sprintf("octet %d", i)] = string(b)
		}
	}
	for name, text := range forged {
		if v, err := c.decode("example.com", text, now, 0); err == nil {
			t.Errorf("%s: %q is read as %+v", name, text, v)
		}
	}
}

// What is read can be written, and is then the same.
func FuzzDecode(f *testing.F) {
	f.Add(codec{}.encode("example.com", example(f)))
	f.Add(codec{}.encode("example.com", Value{Purged: now}))
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

// No stream makes the bound let more pass than it says.
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
			t.Errorf("at once: %v, octet by octet: %v", err, errSingle)
		}
		if err == nil && (whole.left < 0 || whole.octets < 0 || whole.octets > maxReply || whole.left > maxReply) {
			t.Errorf("%+v", whole)
		}
	})
}
