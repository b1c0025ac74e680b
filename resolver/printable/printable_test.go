package printable_test

import (
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"mta-sts-daemon/resolver/printable"
)

func TestPrintable(t *testing.T) {
	t.Parallel()
	long, letters := strings.Repeat("x", 100), strings.Repeat("€", 100)
	for name, c := range map[string]struct{ got, want string }{
		"quote":                {printable.Quote(`a "b" \`), `"a \"b\" \\"`},
		"quote controls":       {printable.Quote("\x1b[31m\x00\r\n\u202e"), `"\x1b[31m\x00\r\n\u202e"`},
		"quote letters":        {printable.Quote("bücher"), `"b\u00fccher"`},
		"quote no UTF-8":       {printable.Quote("a\xff"), `"a\xff"`},
		"quote nothing":        {printable.Quote(""), `""`},
		"quote as much":        {printable.Quote(long[:64]), `"` + long[:64] + `"`},
		"quote long":           {printable.Quote(long), `"` + long[:64] + `"...`},
		"quote whole letters":  {printable.Quote(letters), `"` + strings.Repeat(`\u20ac`, 21) + `"...`},
		"quote up to":          {printable.QuoteUpTo(long, 3), `"xxx"...`},
		"cut":                  {printable.Cut("abc", 3), "abc"},
		"cut long":             {printable.Cut("abcd", 3), "abc..."},
		"cut whole letters":    {printable.Cut("a€€", 6), "a€..."},
		"cut no UTF-8":         {printable.Cut("\x80\x80\x80\x80\x80\x80", 5), "\x80\x80\x80\x80\x80..."},
		"line":                 {printable.Line(`a "b" \`, 99), `a "b" \`},
		"line controls":        {printable.Line("a\nb\t\x1b\x7f\xff\u202e", 99), `a\nb\t\x1b\x7f\xff\u202e`},
		"line letters":         {printable.Line("bücher", 99), `b\u00fccher`},
		"line long":            {printable.Line(long, 10), "xxxxxxxxxx..."},
		"line whole escapes":   {printable.Line("xxxxxü", 10), "xxxxx..."},
		"text letters":         {printable.Text("bücher 3µs", 99), "bücher 3µs"},
		"text controls":        {printable.Text("a\nb\u202e\x00", 99), `a\nb\u202e\x00`},
		"text no UTF-8":        {printable.Text("a\xffb", 99), "a\uFFFDb"},
		"text whole letters":   {printable.Text(letters, 10), "€€€..."},
		"nothing":              {printable.Line("", 10), ""},
		"line up to the limit": {printable.Line("0123456789", 10), "0123456789"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", name, c.got, c.want)
		}
	}
}

// Property: for any text the result is printable and bounded, and begins with the
// same characters.
func FuzzPrintable(f *testing.F) {
	for _, seed := range []string{"", "policy", "\x1b]0;x\a", "bücher", "a\xff\u202e\n", strings.Repeat("€", 99)} {
		f.Add(seed, uint8(20))
	}
	f.Fuzz(func(t *testing.T, s string, n uint8) {
		limit := int(n)
		line := printable.Line(s, limit)
		for _, text := range []string{line, printable.QuoteUpTo(s, limit)} {
			if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
				t.Errorf("%q is not printable ASCII", text)
			}
		}
		text := printable.Text(s, limit)
		if !utf8.ValidString(text) || strings.ContainsFunc(text, func(r rune) bool { return !strconv.IsPrint(r) }) {
			t.Errorf("%q is not printable", text)
		}
		for _, short := range []string{line, text, printable.Cut(s, limit)} {
			if len(short) > limit+len("...") {
				t.Errorf("%q has %d bytes, want at most %d and three dots", short, len(short), limit)
			}
		}
		if cut := printable.Cut(s, limit); cut != s && !strings.HasPrefix(s, strings.TrimSuffix(cut, "...")) {
			t.Errorf("%q is no start of %q", cut, s)
		}
		quoted := printable.QuoteUpTo(s, limit)
		if whole, err := strconv.Unquote(strings.TrimSuffix(quoted, "...")); err == nil && !strings.HasPrefix(s, whole) {
			t.Errorf("%s quotes no start of %q", quoted, s)
		}
	})
}
