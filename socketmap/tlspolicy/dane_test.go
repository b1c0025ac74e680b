package tlspolicy

import (
	"context"
	"errors"
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
}

// A TEMP names the question that failed, on one line, and is reported to the resolver.
func TestDANEUnknown(t *testing.T) {
	const question = "TLSA _25._tcp.mx.example: SERVFAIL"
	enforced := resolver.Answer{Policy: policy(t, enforce("mx.example")), DANE: dane.Unknown}
	named := enforced
	named.Failed = errors.New(question + "\r\n\x80")
	for _, tc := range []struct {
		title   string
		fake    fake
		monitor bool
		reply   string
		noted   string // "" for neither a TEMP nor its end
	}{
		{"no verdict", fake{err: fmt.Errorf("%w: "+question, resolver.ErrDANEUnknown)}, false, "TEMP " + question, "a.example: " + question + ", false"},
		{"in monitor mode", fake{err: fmt.Errorf("%w: "+question, resolver.ErrDANEUnknown)}, true, "NOTFOUND ", "a.example: " + question + ", true"},
		{"some hosts, in memory", fake{known: map[string]resolver.Answer{"a.example": named}}, false,
			"TEMP " + question + `\r\n\x80`, `a.example: ` + question + `\r\n\x80, false`},
		{"some hosts, looked up", fake{slow: map[string]resolver.Answer{"a.example": named}}, false,
			"TEMP " + question + `\r\n\x80`, `a.example: ` + question + `\r\n\x80, false`},
		{"after a restart", fake{known: map[string]resolver.Answer{"a.example": enforced}}, false, "TEMP " + daneUnknown, "a.example: " + daneUnknown + ", false"},
		{"without a policy", fake{known: map[string]resolver.Answer{"a.example": {DANE: dane.Unknown, Failed: named.Failed}}}, false, "OK dane", "a.example: not deferred"},
		{"without a policy, looked up", fake{slow: map[string]resolver.Answer{"a.example": {DANE: dane.Unknown}}}, true, "NOTFOUND ", "a.example: not deferred"},
		{"partial", fake{known: map[string]resolver.Answer{"a.example": {DANE: dane.Partial}}}, false, "OK dane", ""},
		{"given up", fake{err: context.Canceled}, false, "TEMP " + givenUp, ""},
	} {
		tc.fake.t = t
		h := NewHandler(&tc.fake, Profile{Monitor: tc.monitor}, nil, slog.New(slog.DiscardHandler))
		if got := ask(h, "postfix", "a.example"); got != tc.reply {
			t.Errorf("%s: got %s, want %s", tc.title, got, tc.reply)
		}
		if got := strings.Join(tc.fake.deferred, "; "); got != tc.noted {
			t.Errorf("%s: noted %q, want %q", tc.title, got, tc.noted)
		}
	}
}
