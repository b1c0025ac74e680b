package explain

import (
	"context"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// daemon is a running daemon, as a literal.
type daemon struct {
	known  *admin.Domain
	answer admin.Lookup
	err    error
}

func (d daemon) Domain(_ context.Context, domain string) (admin.Domain, error) {
	switch {
	case d.err != nil:
		return admin.Domain{}, d.err
	case d.known == nil:
		return admin.Domain{}, admin.ErrUnknown
	}
	return *d.known, nil
}

func (d daemon) Lookup(context.Context, socketmap.MapName, string) (admin.Lookup, error) {
	return d.answer, d.err
}

// Each case has its expected output in testdata/daemon-TITLE.txt.
func TestLookAsksDaemon(t *testing.T) {
	t.Parallel()
	const answer = "OK secure match=mx.a.test servername=hostname"
	now := time.Now()
	policy := admin.Policy{Domain: "a.test", Mode: "enforce", ID: "20260101", MX: []string{"mx.a.test"}, MaxAge: 1209600,
		Answer: answer, Fetched: now.Add(-time.Hour), Expires: now.Add(time.Hour)}
	with := func(change func(*admin.Policy)) *admin.Domain {
		p := policy
		change(&p)
		return &admin.Domain{Domain: "a.test", Policy: &p}
	}
	unchanged := func(*admin.Policy) {}
	good := resolvertest.HostPolicy(enforce("a.test"))
	broken := resolvertest.HostExpired(enforce("a.test"))
	for _, tt := range []struct {
		title   string
		host    resolvertest.Behaviour
		daemon  daemon
		profile tlspolicy.Profile
	}{
		{title: "same", host: good, daemon: daemon{with(unchanged), replies(answer), nil}},
		{title: "knows-nothing", host: good, daemon: daemon{nil, replies(answer), nil}},
		{title: "not-running", host: good, daemon: daemon{err: admin.ErrNotRunning}},
		{title: "not-permitted", host: good, daemon: daemon{err: admin.ErrNotPermitted}},
		{title: "holds-on", host: broken, daemon: daemon{with(func(p *admin.Policy) { p.Failures = 3 }), replies(answer), nil}},
		{title: "failed-before", host: good, daemon: daemon{with(func(p *admin.Policy) { p.Failures = 3 }), replies(answer), nil}},
		{title: "expired", host: broken, daemon: daemon{with(func(p *admin.Policy) { p.Expires = now.Add(-time.Hour) }), replies("NOTFOUND"), nil}},
		{title: "old-id", host: good, daemon: daemon{with(func(p *admin.Policy) { p.ID, p.MX = "1", []string{"old.a.test"} }),
			replies("OK secure match=old.a.test servername=hostname"), nil}},
		{title: "id-forgotten", host: good, daemon: daemon{with(func(p *admin.Policy) { p.MX = []string{"old.a.test"} }),
			replies("OK secure match=old.a.test servername=hostname"), nil}},
		{title: "absence", host: good, daemon: daemon{&admin.Domain{Domain: "a.test", NoneUntil: now.Add(time.Minute),
			DANE: []admin.Verdict{{NextHop: "a.test", Kind: "none", Until: now.Add(time.Minute)}}}, replies("NOTFOUND"), nil}},
		{title: "failure", host: good, daemon: daemon{&admin.Domain{Domain: "a.test", Retry: now.Add(time.Minute),
			Condition: admin.Condition{Failure: &admin.Failure{Reason: "policy host mta-sts.a.test: status 404 Not Found", Since: now.Add(-time.Hour)}}}, replies("NOTFOUND"), nil}},
		{title: "unknown", host: good, daemon: daemon{&admin.Domain{Domain: "a.test", Retry: now.Add(time.Minute),
			Condition: admin.Condition{Reason: "the DNS could not answer"}}, replies("NOTFOUND"), nil}},
		{title: "not-reloaded", host: good, daemon: daemon{with(unchanged), replies(answer), nil}, profile: tlspolicy.Profile{Monitor: true}},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.publish("a.test", tt.host)
			_, text := w.look(t, "a.test", Options{Profile: tt.profile, NoDANE: errNoDANE, Daemon: tt.daemon})
			golden(t, "daemon-"+tt.title+".txt", text)
		})
	}
}

func replies(answer string) admin.Lookup { return admin.Lookup{Answer: answer} }
