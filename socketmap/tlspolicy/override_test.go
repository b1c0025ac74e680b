package tlspolicy

import (
	"log/slog"
	"testing"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// The exact name goes before its parents, a near parent before a far one, and
// ".example" is not for example itself. What is overridden is not looked up.
func TestOverrides(t *testing.T) {
	t.Parallel()
	answers := func(texts map[string]string) map[mtasts.Domain]socketmap.Reply {
		replies := map[mtasts.Domain]socketmap.Reply{}
		for name, text := range texts {
			d, err := mtasts.ParseDomain(name)
			if err != nil {
				t.Fatal(err)
			}
			replies[d] = socketmap.Reply{Status: socketmap.OK, Data: []byte(text)}
			if text == "" {
				replies[d] = socketmap.Reply{Status: socketmap.NotFound}
			}
		}
		return replies
	}
	p := Profile{Overrides: Overrides{
		Exact: answers(map[string]string{"a.example": "may", "x.far.example": "encrypt", "gone.far.example": ""}),
		Below: answers(map[string]string{"far.example": "dane", "near.far.example": "verify", "b.example": ""}),
	}}
	enforced := resolver.Answer{Policy: policy(t, enforce("mx.example"))}
	h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"far.example": enforced, "b.example": enforced, "x.a.example": enforced}},
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
	} {
		if got := ask(h, "tlsrpt", tc.key); got != tc.want {
			t.Errorf("%s: %s, want %s", tc.key, got, tc.want)
		}
	}
}
