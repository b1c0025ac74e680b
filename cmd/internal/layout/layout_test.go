package layout

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestList(t *testing.T) {
	t.Parallel()
	rows := [][2]Cell{
		{{"ok", Green}, Text("Postfix 3.10.13")},
		{{"problem", Red}, Text("smtp_tls_CAfile and smtp_tls_CApath are empty")},
		{Text(""), Text("Set it.\nThen reload.")},
		{Text("none"), Text("")},
	}
	for _, tt := range []struct {
		title  string
		width  int
		colour bool
		want   string
	}{
		{"wide", 80, false, `
ok       Postfix 3.10.13
problem  smtp_tls_CAfile and smtp_tls_CApath are empty
         Set it.
         Then reload.
none
`},
		{"narrow", 34, false, `
ok       Postfix 3.10.13
problem  smtp_tls_CAfile and
         smtp_tls_CApath are empty
         Set it.
         Then reload.
none
`},
		{"narrower than can be", 5, false, `
ok       Postfix 3.10.13
problem  smtp_tls_CAfile and
         smtp_tls_CApath are
         empty
         Set it.
         Then reload.
none
`},
		{"colour", 80, true, `
[32mok[0m       Postfix 3.10.13
[31mproblem[0m  smtp_tls_CAfile and smtp_tls_CApath are empty
         Set it.
         Then reload.
none
`},
	} {
		var out bytes.Buffer
		if err := (Page{&out, tt.width, tt.colour}).List(rows); err != nil {
			t.Error(err)
		}
		check(t, tt.title, tt.want, out.String())
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	header := []string{"DOMAIN", "MODE", "MX"}
	rows := [][]Cell{
		{Text("a.example"), {"enforce", Green}, Text("mx1.a.example mx2.a.example .b.example")},
		{Text("long-name.example"), {"none", Faint}, Text("")},
	}
	for _, tt := range []struct {
		title string
		width int
		want  string
	}{
		{"wide", 80, `
DOMAIN             MODE     MX
a.example          enforce  mx1.a.example mx2.a.example .b.example
long-name.example  none
`},
		{"just fits", 66, `
DOMAIN             MODE     MX
a.example          enforce  mx1.a.example mx2.a.example .b.example
long-name.example  none
`},
		{"narrow", 60, `
DOMAIN             MODE     MX
a.example          enforce  mx1.a.example mx2.a.example
                            .b.example
long-name.example  none
`},
		{"narrower than the words", 10, `
DOMAIN             MODE     MX
a.example          enforce  mx1.a.example
                            mx2.a.example
                            .b.example
long-name.example  none
`},
	} {
		var out bytes.Buffer
		if err := (Page{&out, tt.width, false}).Table(header, rows); err != nil {
			t.Error(err)
		}
		check(t, tt.title, tt.want, out.String())
	}
}

func TestParagraph(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	if err := (Page{&out, 20, true}).Paragraph("Mail would suffer from what is found here.\n\nElse not."); err != nil {
		t.Error(err)
	}
	check(t, "paragraph", "\nMail would suffer\nfrom what is found\nhere.\n\nElse not.\n", out.String())
}

func TestWrap(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		text  string
		limit int
		want  []string
	}{
		{"", 5, []string{""}},
		{"abc", 3, []string{"abc"}},
		{"abc def", 3, []string{"abc", "def"}},
		{"abc def", 6, []string{"abc", "def"}},
		{"abc def", 7, []string{"abc def"}},
		{"abcdef gh", 3, []string{"abcdef", "gh"}},
		{"a b cdefgh i", 3, []string{"a b", "cdefgh", "i"}},
		{"a  b   c", 4, []string{"a  b", "c"}},
		{"  abc def", 4, []string{"  abc", "def"}},
		{"a\n\nb", 4, []string{"a", "", "b"}},
		{"äöü äöü", 3, []string{"äöü", "äöü"}},
		{"abc ", 3, []string{"abc"}},
	} {
		if diff := cmp.Diff(tt.want, wrap(tt.text, tt.limit)); diff != "" {
			t.Errorf("%q to %d (-want +got)\n%s", tt.text, tt.limit, diff)
		}
	}
}

// Errors of the writer are returned.
func TestWriteFails(t *testing.T) {
	t.Parallel()
	p := Page{Writer: broken{}, Width: 80}
	for title, err := range map[string]error{
		"list":      p.List([][2]Cell{{Text("a"), Text("b")}}),
		"table":     p.Table([]string{"A"}, nil),
		"paragraph": p.Paragraph("a"),
	} {
		if !errors.Is(err, errBroken) {
			t.Errorf("%s: error %v", title, err)
		}
	}
}

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Write([]byte) (int, error) { return 0, errBroken }

// check compares without the escape characters, which no one can read here.
func check(t *testing.T, title, want, got string) {
	t.Helper()
	got = "\n" + strings.ReplaceAll(got, "\x1b", "")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got)\n%s", title, diff)
	}
}

func TestCount(t *testing.T) {
	t.Parallel()
	for _, check := range []struct {
		n    int
		noun string
		want string
	}{
		{0, "domain", "0 domains"}, {1, "domain", "1 domain"}, {2, "MX host", "2 MX hosts"},
		{0, "policy", "0 policies"}, {1, "policy", "1 policy"}, {2, "day", "2 days"}, {1, "more address", "1 more address"}, {3, "more address", "3 more addresses"},
	} {
		if got := Count(check.n, check.noun); got != check.want {
			t.Errorf("%d %s: %s, want %s", check.n, check.noun, got, check.want)
		}
	}
}
