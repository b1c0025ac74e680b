package publish

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/cmd/internal/layout"
)

func TestOrderAndMerge(t *testing.T) {
	t.Parallel()
	r := &Report{Domain: "a.example", hosts: map[string]int{"mx.a.example": 2, "mx2.a.example": 1}}
	add := func(s Severity, e Effect, check, host string, addresses ...string) {
		r.add(Finding{Severity: s, Effect: e, Check: check, Host: host, Addresses: addresses, Text: "it is " + check, Remedy: "Do it"})
	}
	add(Note, "", "note", "")
	add(Advice, "", "advice", "")
	add(Advice, "", "advice", "")
	add(Unjudged, "", "unjudged", "")
	add(Fault, "", "fault", "mx2.a.example", "192.0.2.2")
	add(Fault, Unprotected, "unprotected", "")
	add(Fault, StopsMail, "all", "mx.a.example", "192.0.2.1")
	add(Fault, StopsMail, "one", "mx.a.example", "192.0.2.1")
	add(Fault, StopsMail, "all", "mx.a.example", "2001:db8::1")
	add(Fault, StopsMail, "all", "mx.a.example", "2001:db8::1")
	r.finish()
	const want = `a.example: fault, stops mail: mx.a.example: it is all. Do it.
a.example: fault, stops mail: mx.a.example [192.0.2.1]: it is one. Do it.
a.example: fault: it is unprotected. Do it.
a.example: fault: mx2.a.example: it is fault. Do it.
a.example: not judged: it is unjudged. Do it.
a.example: advice: it is advice. Do it.
a.example: note: it is note. Do it.
b.example: nothing found
`
	for quiet, want := range map[bool]string{
		false: want,
		true:  strings.Replace(want, "a.example: note: it is note. Do it.\nb.example: nothing found\n", "", 1),
	} {
		var out bytes.Buffer
		if err := Print(layout.OnLines(&out), []*Report{r, {Domain: "b.example"}}, quiet); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("quiet %v, -want +got\n%s", quiet, diff)
		}
	}
}

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		severities []Severity
		want       int
	}{
		{nil, 0},
		{[]Severity{Note}, 0},
		{[]Severity{Advice, Note}, 1},
		{[]Severity{Advice, Unjudged, Advice}, 3},
		{[]Severity{Unjudged, Advice, Fault}, 2},
	} {
		var reports []*Report
		for _, s := range test.severities {
			reports = append(reports, &Report{Findings: []Finding{{Severity: s}}})
		}
		if got := ExitStatus(reports...); got != test.want {
			t.Errorf("%v: %d, want %d", test.severities, got, test.want)
		}
	}
}

func TestIDs(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 31, 23, 59, 59, 0, time.UTC)
	for published, want := range map[string]string{"": "20260131T235959Z", "20260131": "20260131T235959Z", "20260131T235959Z": "20260201T000000Z"} {
		if got := NewID(now, published); got != want {
			t.Errorf("after %q: %s, want %s", published, got, want)
		}
	}
	for id, want := range map[string]string{
		"20250131": "2025-01-31", "20250131T120000Z": "2025-01-31", "2025013107": "2025-01-31",
		"": "", "1": "", "20251331": "", "19990131": "", "20990131": "", "1769900000": "", "abcdefgh": "",
	} {
		got := ""
		if d := idDate(id); !d.IsZero() {
			got = date(d)
		}
		if got != want {
			t.Errorf("the date of id %q is %q, want %q", id, got, want)
		}
	}
}
