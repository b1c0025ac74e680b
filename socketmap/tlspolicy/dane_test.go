package tlspolicy

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
)

// The table of docs/dane.md.
func TestDANEGoesBeforeSTS(t *testing.T) {
	const secure = "OK secure match=mx.example servername=hostname"
	const temp = "TEMP " + daneUnknown
	for _, tc := range []struct {
		kind             dane.Kind
		without, enforce string
	}{
		{dane.Full, "OK dane-only", "OK dane-only"},
		{dane.Partial, "OK dane", "OK dane-only"},
		{dane.Unknown, "OK dane", temp},
		{dane.Unusable, "OK dane", secure},
		{dane.None, "NOTFOUND ", secure},
	} {
		text := enforce("mx.example")
		for mode, want := range map[string]string{"": tc.without, "none": tc.without, "testing": tc.without, "enforce": tc.enforce} {
			answer := resolver.Answer{DANE: tc.kind}
			if mode != "" {
				answer.Policy = policy(t, strings.Replace(text, "enforce", mode, 1))
			}
			h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"a.example": answer}}, Profile{}, nil, slog.New(slog.DiscardHandler))
			if got := ask(h, "postfix", "a.example"); got != want {
				t.Errorf("%v with policy %q: %s, want %s", tc.kind, mode, got, want)
			}
			// DANE has no report attributes.
			if got := ask(h, "tlsrpt", "a.example"); tc.kind != dane.None && strings.HasPrefix(got, "OK dane") && got != want {
				t.Errorf("%v with policy %q for tlsrpt: %s", tc.kind, mode, got)
			}
		}
	}
	slow := &fake{t: t, err: fmt.Errorf("%w: SERVFAIL", resolver.ErrDANEUnknown)}
	if got := ask(NewHandler(slow, Profile{}, nil, slog.New(slog.DiscardHandler)), "postfix", "a.example"); got != temp {
		t.Errorf("DANE not known: %s", got)
	}
	if got := ask(NewHandler(slow, Profile{Monitor: true}, nil, slog.New(slog.DiscardHandler)), "postfix", "a.example"); got != "NOTFOUND " {
		t.Errorf("DANE not known in monitor mode: %s", got)
	}
}
