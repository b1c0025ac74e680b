package tlspolicy

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// overrides makes Overrides of keys, with a dot before the domain for all below
// it and with brackets or a port for one next hop, and of answers; "" is for
// "not found". An answer may have an end after an "until".
func overrides(t *testing.T, texts map[string]string) Overrides {
	t.Helper()
	o := Overrides{Hops: map[resolver.NextHop]Override{}, Exact: map[mtasts.Domain]Override{}, Below: map[mtasts.Domain]Override{}}
	for key, text := range texts {
		text, until, _ := strings.Cut(text, " until ")
		given := Override{Reply: socketmap.Reply{Status: socketmap.OK, Data: []byte(text)}}
		if text == "" {
			given.Reply = socketmap.Reply{Status: socketmap.NotFound}
		}
		if until != "" {
			var err error
			if given.Until, err = time.Parse(time.RFC3339, until); err != nil {
				t.Fatal(err)
			}
		}
		name, below := strings.CutPrefix(key, ".")
		parsed, ok := ParseKey(name)
		switch {
		case !ok:
			t.Fatalf("key %q", key)
		case below:
			o.Below[parsed.Domain] = given
		case strings.ContainsAny(key, "[:"):
			o.Hops[parsed] = given
		default:
			o.Exact[parsed.Domain] = given
		}
	}
	return o
}

// The most exact key counts, a near parent before a far one, and ".example" does not
// match example itself. Keys with an override are not looked up.
func TestOverrides(t *testing.T) {
	t.Parallel()
	p := Profile{Overrides: overrides(t, map[string]string{
		"a.example": "may", "x.far.example": "encrypt", "gone.far.example": "",
		".far.example": "dane", ".near.far.example": "verify", ".b.example": "",
		"[mx.hop.example]": "fingerprint", "[mx.hop.example]:587": "secure", "hop.example:587": "none",
		"mx.hop.example": "encrypt", ".hop.example": "may",
		"a.onion": "may", ".b.onion": "encrypt",
	})}
	enforced := resolver.Answer{Policy: policy(t, enforce("mx.example"))}
	h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"far.example": enforced, "b.example": enforced, "x.a.example": enforced, "hop.example": enforced}},
		p, nil, slog.New(slog.DiscardHandler))
	const found = "OK secure match=mx.example servername=hostname"
	for _, tc := range []struct{ key, want string }{
		{"a.example", "OK may"},
		{"[A.example]:587", "OK may"},
		{"x.a.example", found},
		{"far.example", found},
		{"y.far.example", "OK dane"},
		{"x.far.example", "OK encrypt"},
		{"gone.far.example", "NOTFOUND "},
		{"near.far.example", "OK dane"},
		{"z.near.far.example", "OK verify"},
		{"deep.z.near.far.example", "OK verify"},
		{"y.x.far.example", "OK dane"},
		{"b.example", found},
		{"x.b.example", "NOTFOUND "},
		{".far.example", "NOTFOUND "}, // Postfix's own search for parents
		{"[mx.hop.example]", "OK fingerprint"},
		{"[MX.hop.example]:25", "OK fingerprint"},
		{"[mx.hop.example]:smtp", "OK fingerprint"},
		{"[mx.hop.example]:587", "OK secure"},
		{"[mx.hop.example.]:submission", "OK secure"},
		{"[mx.hop.example]:465", "OK encrypt"},
		{"mx.hop.example", "OK encrypt"},
		{"mx.hop.example:587", "OK encrypt"},
		{"hop.example:587", "OK none"},
		{"hop.example:submission", "OK none"},
		{"[mx2.hop.example]:587", "OK may"},
		{"hop.example", found},
		{"hop.example:25", found},
		{"a.onion", "OK may"},
		{"[a.onion]:587", "OK may"},
		{"x.b.onion", "OK encrypt"},
	} {
		if got := ask(h, "tlsrpt", tc.key); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.key, got, tc.want)
		}
	}
}

// An override that has ended does not hide a less exact one.
func TestOverridesEnd(t *testing.T) {
	t.Parallel()
	p := Profile{Overrides: overrides(t, map[string]string{
		"[mx.a.example]:587": "none until 2026-12-01T00:00:00Z",
		"mx.a.example":       "may until 2026-12-02T00:00:00Z",
		".a.example":         "encrypt until 2026-12-03T00:00:00Z",
	})}
	h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"mx.a.example": {}}}, p, nil, slog.New(slog.DiscardHandler))
	for _, tc := range []struct{ at, want string }{
		{"2026-11-30T23:59:59.999Z", "OK none"},
		{"2026-12-01T00:00:00Z", "OK may"},
		{"2026-12-01T23:59:59Z", "OK may"},
		{"2026-12-02T00:00:00Z", "OK encrypt"},
		{"2026-12-03T00:00:00Z", "NOTFOUND "},
		{"2027-01-01T00:00:00Z", "NOTFOUND "},
	} {
		at, err := time.Parse(time.RFC3339Nano, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		reply, ok := h.Answer(nil, &socketmap.Request{Key: "[mx.a.example]:587", At: at, Fits: within(maxData)})
		if got := reply.Status.String() + " " + string(reply.Data); !ok || got != tc.want {
			t.Errorf("at %s: %s, want %s", tc.at, got, tc.want)
		}
	}
}

// Names that are never asked of the DNS are not looked up.
func TestSpecialUse(t *testing.T) {
	t.Parallel()
	h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"a.onion.example": {}, "a.local": {}}}, Profile{}, nil, slog.New(slog.DiscardHandler))
	for _, key := range []string{"a.onion", "[abcdef.onion]", "A.ONION.:25", "x.alt", "health.invalid", "x.localhost", "a.onion.example", "a.local"} {
		reply, ok := h.Answer(nil, &socketmap.Request{Key: key, Fits: within(maxData)})
		if !ok || reply.Status != socketmap.NotFound {
			t.Errorf("%s: %v %s, at once %v", key, reply.Status, reply.Data, ok)
		}
	}
}
