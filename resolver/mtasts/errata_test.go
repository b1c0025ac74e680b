package mtasts_test

import (
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// The reported errata of RFC 8461 (docs/rfc8461.md has the choices). Each reading
// is a case, so that a choice cannot change unnoticed.
func TestErrata(t *testing.T) {
	t.Parallel()
	const policy = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\n"

	// 6253, section 3.2: do lines end with CRLF only, or also with LF? Both, also mixed, but
	// not with CR alone.
	for name, text := range map[string]string{
		"LF":    policy,
		"CRLF":  strings.ReplaceAll(policy, "\n", "\r\n"),
		"mixed": strings.Replace(policy, "\n", "\r\n", 2),
	} {
		if p, err := mtasts.ParsePolicy(text); err != nil || p.Mode != mtasts.ModeEnforce || len(p.MX) != 1 || p.MX[0] != "mx.example.com" {
			t.Errorf("6253, %s: %+v, %v", name, p, err)
		}
	}
	if p, err := mtasts.ParsePolicy(strings.ReplaceAll(policy, "\n", "\r")); err == nil {
		t.Errorf("6253, CR: %+v, want an error", p)
	}

	// 6285, section 3.1: does a record with blanks before the first semicolon count? As
	// the grammar says: yes, so that it is used, and is one too many next to another.
	const plain, blank = "v=STSv1; id=1;", "v=STSv1 \t; id=2;"
	for txt, id := range map[string]string{plain: "1", blank: "2"} {
		if r, err := mtasts.ParseRecord([]string{txt}); err != nil || r.ID != id {
			t.Errorf("6285: %q: %+v, %v; want id %s", txt, r, err, id)
		}
	}
	if r, err := mtasts.ParseRecord([]string{plain, blank}); err == nil || err == mtasts.ErrNoRecord {
		t.Errorf("6285: both: %+v, %v; want it invalid", r, err)
	}

	// 7282, section 3.2: has max_age up to ten digits, or up to eight? Ten. Values
	// above the maximum count as the maximum.
	for value, want := range map[string]time.Duration{
		"1":           time.Second,
		"0000000001":  time.Second,
		"31557600":    mtasts.MaxMaxAge,
		"31557601":    mtasts.MaxMaxAge,
		"99999999":    mtasts.MaxMaxAge,
		"100000000":   mtasts.MaxMaxAge,
		"9999999999":  mtasts.MaxMaxAge,
		"00000000001": 0,
		"10000000000": 0,
	} {
		p, err := mtasts.ParsePolicy(strings.Replace(policy, "86400", value, 1))
		if (err == nil) != (want > 0) || p.MaxAge != want {
			t.Errorf("7282: max_age %s: %v, %v; want %v (0: invalid)", value, p.MaxAge, err, want)
		}
	}
}
