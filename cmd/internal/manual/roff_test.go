package manual

import (
	"testing"
	"time"
)

func TestProse(t *testing.T) {
	t.Parallel()
	for prose, want := range map[string]string{
		"one line":              "one line\n",
		"two\nlines":            "two\nlines\n",
		"one\n\nother":          "one\n.PP\nother\n",
		"as is:\n\n  a: b\n  c": "as is:\n.PP\n.EX\n  a: b\n  c\n.EE\n",
		"a:\n\n  b\n\nc":        "a:\n.PP\n.EX\n  b\n.EE\n.PP\nc\n",
		".hidden":               "\\&.hidden\n",
		"'quoted'":              "\\(aqquoted\\(aq\n",
		"back\\slash":           "back\\eslash\n",
		"--json ~/.x":           "\\-\\-json \\(ti/.x\n",
	} {
		var p page
		p.paragraphs(prose)
		if got := p.String(); got != want {
			t.Errorf("%q is\n%q, want\n%q", prose, got, want)
		}
	}
}

func TestItem(t *testing.T) {
	t.Parallel()
	var p page
	p.item(`-c, --config "F"`, "one\n\nother")
	const want = ".TP\n.B \"\\-c, \\-\\-config \\(dqF\\(dq\"\none\n.IP\nother\n"
	if got := p.String(); got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
}

func TestEdition(t *testing.T) {
	t.Parallel()
	for want, e := range map[string]Edition{
		".TH \"A.B\" 5 \"\" \"mta-sts-daemon 1.2\"\n":           {Version: "1.2"},
		".TH \"A.B\" 5 \"2026-01-31\" \"mta-sts-daemon 1.2\"\n": {Version: "1.2", Date: time.Date(2026, 1, 31, 23, 0, 0, 0, time.UTC)},
	} {
		if got := newPage("a.b", "5", e).String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
