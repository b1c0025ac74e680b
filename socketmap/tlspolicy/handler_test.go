package tlspolicy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
)

// known answers from memory, slow when waited for; any other domain is a
// mistake of the test.
type fake struct {
	t           *testing.T
	known, slow map[string]resolver.Answer
	err         error
	deferred    []string
}

func (f *fake) Cached(hop resolver.NextHop, _ time.Time) (resolver.Answer, bool) {
	a, ok := f.known[hop.Domain.String()]
	return a, ok
}

func (f *fake) Deferred(hop resolver.NextHop, reason string, withheld bool) {
	f.deferred = append(f.deferred, fmt.Sprintf("%v: %s, %v", hop.Domain, reason, withheld))
}

func (f *fake) NotDeferred(hop resolver.NextHop) {
	f.deferred = append(f.deferred, hop.Domain.String()+": not deferred")
}

func (f *fake) Resolve(_ context.Context, hop resolver.NextHop) (resolver.Answer, error) {
	a, ok := f.slow[hop.Domain.String()]
	if !ok && f.err == nil {
		f.t.Errorf("Resolve(%v) was not expected", hop)
	}
	return a, f.err
}

func ask(h *Handler, name, key string) string {
	req := &socketmap.Request{Map: name, Key: key, Fits: within(maxData)}
	reply, ok := h.Answer(nil, req)
	if !ok {
		reply = h.Wait(context.Background(), nil, req)
	}
	return reply.Status.String() + " " + string(reply.Data)
}

func TestHandler(t *testing.T) {
	answer := func(text string) resolver.Answer { return resolver.Answer{Policy: policy(t, text)} }
	enforced := answer(enforce("mx.example"))
	const plain = "OK secure match=mx.example servername=hostname"
	h := NewHandler(&fake{t: t,
		known: map[string]resolver.Answer{
			"enforce.example": enforced,
			"testing.example": answer(strings.Replace(enforce("mx.example"), "enforce", "testing", 1)),
			"none.example":    answer("version: STSv1\nmode: none\nmax_age: 86400"),
			"absent.example":  {},
		},
		slow: map[string]resolver.Answer{"slow.example": enforced, "unknown.example": {}},
	}, Profile{Maps: map[string]Map{
		"tlsrpt": {Reports: true}, "own": {Reports: true}, "QUERYWITHTLSRPT": {},
		"short": {MaxAnswer: len(plain) - len("OK ") - 1}, "exact": {MaxAnswer: len(plain) - len("OK ")}, "both": {Reports: true, MaxAnswer: 1000},
	}}, nil, slog.New(slog.DiscardHandler))

	report := func(d string) string {
		return plain + " policy_type=sts policy_domain=" + d + " mx_host_pattern=mx.example { policy_string = version: STSv1 }" +
			" { policy_string = mode: enforce } { policy_string = max_age: 86400 } { policy_string = mx: mx.example }"
	}
	for _, tc := range []struct{ name, key, want string }{
		{"postfix", "enforce.example", plain},
		{"postfix", "ENFORCE.example.:25", plain},
		{"postfix", "[enforce.example]:587", plain},
		{"postfix", "slow.example", plain},
		{"postfix", "testing.example", "NOTFOUND "},
		{"postfix", "none.example", "NOTFOUND "},
		{"postfix", "absent.example", "NOTFOUND "},
		{"postfix", "unknown.example", "NOTFOUND "},
		{"postfix", ".example", "NOTFOUND "},
		{"postfix", "localhost", "NOTFOUND "},
		{"postfix", "[192.0.2.1]", "NOTFOUND "},
		{"postfix", "", "NOTFOUND "},
		{"", "enforce.example", plain},
		{"QUERY", "enforce.example", plain},
		{"TLSRPT", "enforce.example", plain}, // configured names compare exactly
		{"tlsrpt", "enforce.example", report("enforce.example")},
		{"own", "slow.example", report("slow.example")},
		{"QUERYwithTLSRPT", "enforce.example", report("enforce.example")},
		{"querywithtlsrpt", "enforce.example", report("enforce.example")},
		{"QUERYWITHTLSRPT", "enforce.example", plain}, // the configuration says so
		{"tlsrpt", "testing.example", "NOTFOUND "},
		{"short", "enforce.example", "TEMP the answer is longer than max_answer of this map name"},
		{"short", "slow.example", "TEMP the answer is longer than max_answer of this map name"},
		{"short", "testing.example", "NOTFOUND "},
		{"exact", "enforce.example", plain},
		{"both", "enforce.example", plain},
	} {
		if got := ask(h, tc.name, tc.key); got != tc.want {
			t.Errorf("%s %s:\n got %s\nwant %s", tc.name, tc.key, got, tc.want)
		}
	}

	h.SetProfile(Profile{})
	if got := ask(h, "own", "enforce.example"); got != plain {
		t.Errorf("after SetProfile: %s", got)
	}
}

func TestHandlerCannotKnow(t *testing.T) {
	h := NewHandler(&fake{t: t, err: errors.New("gone\r\nOK secure")}, Profile{}, nil, slog.New(slog.DiscardHandler))
	got := ask(h, "postfix", "slow.example")
	if !strings.HasPrefix(got, "TEMP ") || strings.ContainsAny(got, "\r\n") {
		t.Errorf("got %q", got)
	}
}

// waiter answers no lookup from memory and calls during while one waits.
type waiter struct {
	during func()
	err    error
}

func (waiter) Cached(resolver.NextHop, time.Time) (resolver.Answer, bool) {
	return resolver.Answer{}, false
}

func (waiter) Deferred(resolver.NextHop, string, bool) {}
func (waiter) NotDeferred(resolver.NextHop)            {}

func (w waiter) Resolve(context.Context, resolver.NextHop) (resolver.Answer, error) {
	w.during()
	return resolver.Answer{}, w.err
}

// A profile applies to lookups that already wait when a reload puts it in force.
func TestSetProfileWhileALookupWaits(t *testing.T) {
	domain, err := mtasts.ParseDomain("slow.example")
	if err != nil {
		t.Fatal(err)
	}
	override := Overrides{Exact: map[mtasts.Domain]Override{domain: {Reply: socketmap.Reply{Status: socketmap.OK, Data: []byte("encrypt")}}}}
	for _, tc := range []struct {
		title string
		now   Profile
		err   error
		want  string
	}{
		{"an override is added", Profile{Overrides: override}, nil, "OK encrypt"},
		{"the same, and the lookup fails", Profile{Overrides: override}, errors.New("gone"), "OK encrypt"},
		{"monitor mode begins", Profile{Monitor: true}, errors.New("gone"), "NOTFOUND "},
	} {
		var h *Handler
		h = NewHandler(waiter{func() { h.SetProfile(tc.now) }, tc.err}, Profile{}, nil, slog.New(slog.DiscardHandler))
		if got := ask(h, "postfix", "slow.example"); got != tc.want {
			t.Errorf("%s: got %q, want %q", tc.title, got, tc.want)
		}
	}
}

// Only tcp_table has a limit that a policy can exceed.
func TestHandlerTooLong(t *testing.T) {
	h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"a.example": {Policy: policy(t, enforce("mx.example"))}}},
		Profile{}, nil, slog.New(slog.DiscardHandler))
	const answer = "secure match=mx.example servername=hostname"
	for _, tc := range []struct {
		max    int
		status socketmap.Status
	}{{len(answer), socketmap.OK}, {len(answer) - 1, socketmap.Temp}} {
		reply, _ := h.Answer(nil, &socketmap.Request{Key: "a.example", Fits: within(tc.max)})
		if reply.Status != tc.status {
			t.Errorf("within %d bytes: %v %q", tc.max, reply.Status, reply.Data)
		}
	}
}

func TestHandlerLogsEachLookupAtDebugAlone(t *testing.T) {
	for _, tc := range []struct {
		level slog.Level
		lines int
	}{{slog.LevelInfo, 0}, {slog.LevelDebug, 2}} {
		var log bytes.Buffer
		h := NewHandler(&fake{t: t,
			known: map[string]resolver.Answer{"a.example": {}},
			slow:  map[string]resolver.Answer{"b.example": {}},
		}, Profile{}, nil, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: tc.level})))
		ask(h, "postfix", "a.example")
		ask(h, "postfix", "b.example")
		if n := strings.Count(log.String(), "\n"); n != tc.lines {
			t.Errorf("at %v: %d lines, want %d:\n%s", tc.level, n, tc.lines, &log)
		}
	}
}

// The warm path makes no garbage.
func TestAnswerAllocatesNothing(t *testing.T) {
	h := NewHandler(&fake{t: t, known: map[string]resolver.Answer{"a.example": {Policy: policy(t, enforce("mx.example"))}}},
		Profile{}, nil, slog.New(slog.DiscardHandler))
	req := &socketmap.Request{Map: "postfix", Key: "a.example", Fits: within(maxData)}
	dst := make([]byte, 0, 1024)
	if n := testing.AllocsPerRun(100, func() { h.Answer(dst, req) }); n > 0 {
		t.Errorf("%v allocations a lookup, want none", n)
	}
}
