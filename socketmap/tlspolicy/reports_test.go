package tlspolicy

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/tlsrpt"
	"mta-sts-daemon/socketmap"
)

// reported are the failures that a Handler reports.
type reported struct {
	mu  sync.Mutex
	got []tlsrpt.Failure
}

func (r *reported) Report(f tlsrpt.Failure) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, f)
}

func (r *reported) take() []tlsrpt.Failure {
	r.mu.Lock()
	defer r.mu.Unlock()
	got := r.got
	r.got = nil
	return got
}

// Which lookups are reported, from memory and after a wait alike.
func TestReports(t *testing.T) {
	t.Parallel()
	parse := func(name string) mtasts.Domain {
		d, err := mtasts.ParseDomain(name)
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	a := parse("a.example")
	const reason = "policy host mta-sts.a.example: status 404 Not Found"
	failed := &policies.Failure{Word: "sts-policy-fetch-error", Reason: reason}
	enforced := policy(t, enforce("mx.example"))
	testing := policy(t, strings.Replace(enforce("mx.example"), "enforce", "testing", 1))
	long := policy(t, enforce(strings.Repeat("a.", 80)+"example"))
	fetchError := []tlsrpt.Failure{{Domain: a, Code: tlsrpt.PolicyFetchError, Reason: reason}}
	mismatch := []tlsrpt.Failure{{Domain: a, Code: tlsrpt.ValidationFailure, Reason: noMatch}}
	const plain, reporting = "postfix", "QUERYwithTLSRPT"
	for name, tc := range map[string]struct {
		answer   resolver.Answer
		mapName  string
		key      string
		profile  Profile
		override string
		fits     int
		want     []tlsrpt.Failure
	}{
		"fetch error":                 {answer: resolver.Answer{Failure: failed}, want: fetchError},
		"fetch error, reporting":      {answer: resolver.Answer{Failure: failed}, mapName: reporting, want: fetchError},
		"subdomains of the recipient": {answer: resolver.Answer{Failure: failed}, key: ".a.example"},
		"next hop in brackets":        {answer: resolver.Answer{Failure: failed}, key: "[a.example]:587", want: fetchError},
		"webpki": {answer: resolver.Answer{Failure: &policies.Failure{Word: "sts-webpki-invalid", Reason: "r"}},
			want: []tlsrpt.Failure{{Domain: a, Code: tlsrpt.WebPKIInvalid, Reason: "r"}}},
		"invalid": {answer: resolver.Answer{Failure: &policies.Failure{Word: "sts-policy-invalid", Reason: "r"}},
			want: []tlsrpt.Failure{{Domain: a, Code: tlsrpt.PolicyInvalid, Reason: "r"}}},
		"reason of an earlier process": {answer: resolver.Answer{Failure: &policies.Failure{Word: "sts-policy-invalid"}},
			want: []tlsrpt.Failure{{Domain: a, Code: tlsrpt.PolicyInvalid, Reason: "sts-policy-invalid"}}},
		"no failure":         {answer: resolver.Answer{}},
		"policy":             {answer: resolver.Answer{Policy: enforced}, mapName: reporting},
		"monitor mode":       {answer: resolver.Answer{Failure: failed}, profile: Profile{Monitor: true}},
		"monitor, mismatch":  {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true}, mapName: reporting, profile: Profile{Monitor: true}},
		"override":           {answer: resolver.Answer{Failure: failed}, override: "may"},
		"override, mismatch": {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true}, mapName: reporting, override: "may"},
		"DANE":               {answer: resolver.Answer{Failure: failed, DANE: dane.Full}},
		"some DANE":          {answer: resolver.Answer{Failure: failed, DANE: dane.Partial}},
		"DANE not known":     {answer: resolver.Answer{Failure: failed, DANE: dane.Unknown}},
		"DANE unusable":      {answer: resolver.Answer{Failure: failed, DANE: dane.Unusable}},
		"DANE, mismatch":     {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true, DANE: dane.Full}, mapName: reporting},
		"peek":               {answer: resolver.Answer{Failure: failed}, mapName: PeekMap},
		"mismatch":           {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true}, mapName: reporting, want: mismatch},
		"mismatch, configured map": {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true}, mapName: "own",
			profile: Profile{Maps: map[string]Map{"own": {Reports: true}}}, want: mismatch},
		"mismatch, plain":                 {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true}, mapName: plain},
		"mismatch, next hop in brackets":  {answer: resolver.Answer{Policy: enforced, MatchesNoMX: true}, mapName: reporting, key: "[a.example]"},
		"mismatch, attributes do not fit": {answer: resolver.Answer{Policy: long, MatchesNoMX: true}, mapName: reporting, fits: 300},
		"mismatch, testing":               {answer: resolver.Answer{Policy: testing, MatchesNoMX: true}, mapName: reporting},
	} {
		if tc.key == "" {
			tc.key = "a.example"
		}
		if tc.fits == 0 {
			tc.fits = maxData
		}
		if tc.override != "" {
			tc.profile.Overrides.Exact = map[mtasts.Domain]Override{a: {Reply: socketmap.Reply{Status: socketmap.OK, Data: []byte(tc.override)}}}
		}
		answers := map[string]resolver.Answer{"a.example": tc.answer}
		for from, f := range map[string]*fake{"memory": {t: t, known: answers}, "a discovery": {t: t, slow: answers}} {
			var to reported
			tc.profile.Reporter = &to
			h := NewHandler(&peekable{fake: *f, peeked: answers}, tc.profile, nil, slog.New(slog.DiscardHandler))
			if tc.mapName != PeekMap {
				h.resolver, h.peeker = f, nil
			}
			req := &socketmap.Request{Map: tc.mapName, Key: tc.key, Fits: within(tc.fits)}
			if _, ok := h.Answer(nil, req); !ok {
				h.Wait(context.Background(), nil, req)
			}
			if diff := cmp.Diff(tc.want, to.take(), cmp.Comparer(func(x, y mtasts.Domain) bool { return x == y })); diff != "" {
				t.Errorf("%s, from %s: -want +got\n%s", name, from, diff)
			}
		}
	}
}

// A lookup that is answered before its discovery ends is reported then, and only once.
// Many of them are bounded.
func TestReportsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		failed := &policies.Failure{Word: "sts-policy-fetch-error", Reason: "not done within 1m0s"}
		ends := time.Now().Add(time.Minute)
		later := func(f *policies.Failure) resolver.Answer {
			return resolver.Answer{Later: func() *policies.Failure {
				time.Sleep(time.Until(ends))
				return f
			}}
		}
		var to reported
		h := NewHandler(&fake{t: t, slow: map[string]resolver.Answer{
			"slow.example": later(failed),
			"good.example": later(nil),
			"dane.example": {DANE: dane.Full, Later: later(failed).Later},
		}}, Profile{Reporter: &to}, nil, slog.New(slog.DiscardHandler))
		for range 3 {
			for _, key := range []string{"slow.example", "good.example", "dane.example"} {
				ask(h, "postfix", key)
			}
		}
		if got := to.take(); len(got) > 0 || !time.Now().Before(ends) {
			t.Errorf("reported at once: %v", got)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := to.take(); len(got) != 3 || got[0].Reason != failed.Reason {
			t.Errorf("%v", got)
		}
		ends = time.Now().Add(time.Minute)
		for range maxLate + 10 {
			ask(h, "postfix", "slow.example")
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if got := to.take(); len(got) != maxLate {
			t.Errorf("%d reported of %d, want %d", len(got), maxLate+10, maxLate)
		}
	})
}
