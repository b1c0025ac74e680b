package explain

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// Each case is a domain a.test with a policy of mode enforce that names mx.a.test, and what
// is different about it.
func TestOutcome(t *testing.T) {
	t.Parallel()
	good := resolvertest.HostPolicy(enforce("a.test"))
	now := time.Now()
	cached := &admin.Domain{Domain: "a.test", Policy: &admin.Policy{Domain: "a.test", Mode: "enforce", ID: "1", MX: []string{"mx.a.test"},
		Fetched: now.Add(-time.Hour), Expires: now.Add(time.Hour)}}
	const secure = "OK secure match=mx.a.test servername=hostname"
	noRecord := func(w *world) { w.dns.Add("a.test. 300 IN MX 10 mx.a.test.", "mx.a.test. 300 IN A 192.0.2.25") }
	notFound := tlspolicy.Overrides{Exact: map[mtasts.Domain]tlspolicy.Override{
		domain(t, "a.test"): {Reply: socketmap.Reply{Status: socketmap.NotFound}}}}
	publish := func(w *world) { w.publish("a.test", good) }
	for _, tt := range []struct {
		title   string
		world   func(*world)
		o       Options
		outcome Outcome
		reason  string // a part of it
		status  int
	}{
		{"good", publish, Options{}, ProtectedSTS, "enforced", 0},
		{"the record has gone, the daemon has the policy", noRecord, Options{Daemon: daemon{cached, admin.Lookup{Answer: secure}, nil}}, ProtectedSTS, "cached policy, until ", 0},
		{"no MX host in the policy, plain", func(w *world) {
			w.publish("a.test", resolvertest.HostPolicy(enforce("b.test")))
		}, Options{Maps: []socketmap.MapName{{Name: "postfix"}}}, Deferred, "unless one has a certificate", 3},
		{"no MX host in the policy, with attributes", func(w *world) {
			w.publish("a.test", resolvertest.HostPolicy(enforce("b.test")))
		}, Options{Maps: []socketmap.MapName{{Name: "QUERYwithTLSRPT"}}}, Deferred, "the policy names none of its MX hosts", 3},
		{"names that are no policy domains", func(w *world) {
			w.publish("a.test", resolvertest.HostPolicy(enforce("a.test")+"mx: *.a.test\n"))
			w.dns.Add("a.test. 300 IN MX 5 _dc-mx.a.test.", "_dc-mx.a.test. 300 IN A 192.0.2.1")
		}, Options{}, ProtectedSTS, "enforced", 0},
		{"the MX host in the policy has no address", func(w *world) {
			publish(w)
			w.dns.Add("a.test. 300 IN MX 20 other.test.", "other.test. 300 IN A 192.0.2.1")
			w.dns.Misbehave("mx.a.test", resolvertest.DNSRcode(3))
		}, Options{}, Deferred, "no MX host that the policy names has an address", 3},
		{"its addresses cannot be looked up", func(w *world) {
			publish(w)
			w.dns.Misbehave("mx.a.test", resolvertest.DNSRcode(2))
		}, Options{}, Deferred, "SERVFAIL", 3},
		{"the resolver answers nothing", func(w *world) {
			publish(w)
			w.dns.Misbehave(resolvertest.EveryName, resolvertest.DNSRcode(2))
		}, Options{}, Unknown, "SERVFAIL", 2},
		{"no such domain", func(*world) {}, Options{}, Undeliverable, "NXDOMAIN", 3},
		{"null MX", func(w *world) { w.dns.Add("a.test. 300 IN MX 0 .") }, Options{}, Undeliverable, "null", 3},
		{"no record", func(w *world) { w.dns.Add("a.test. 300 IN A 192.0.2.1") }, Options{}, Unprotected, "no MTA-STS record", 1},
		{"two records", func(w *world) {
			publish(w)
			w.dns.Add(`_mta-sts.a.test. 300 IN TXT "v=STSv1; id=2"`)
		}, Options{}, Broken, "there are 2", 4},
		{"policy host with another's certificate", func(w *world) {
			w.publish("a.test", resolvertest.HostExpired(enforce("a.test")))
		}, Options{}, Broken, "it expired on", 4},
		{"testing", func(w *world) {
			w.publish("a.test", resolvertest.HostPolicy(strings.Replace(enforce("a.test"), "enforce", "testing", 1)))
		}, Options{}, Unprotected, "testing", 1},
		{"testing, enforced here", func(w *world) {
			w.publish("a.test", resolvertest.HostPolicy(strings.Replace(enforce("a.test"), "enforce", "testing", 1)))
		}, Options{Profile: tlspolicy.Profile{EnforceTesting: true}}, ProtectedSTS, "enforced", 0},
		{"monitor", publish, Options{Profile: tlspolicy.Profile{Monitor: true}}, Unprotected, "in mode enforce: PROTECTED-STS", 1},
		{"the daemon is in mode monitor", publish,
			Options{Profile: tlspolicy.Profile{Monitor: true}, Daemon: daemon{cached, admin.Lookup{Answer: "NOTFOUND", Withheld: secure}, nil}},
			Unprotected, "in mode enforce: PROTECTED-STS", 1},
		{"the daemon remembers an absence", publish,
			Options{Daemon: daemon{&admin.Domain{Domain: "a.test", NoneUntil: now.Add(time.Minute)}, admin.Lookup{Answer: "NOTFOUND"}, nil}},
			Unprotected, "mta-sts-daemon refresh a.test", 1},
		{"an override instead of a cached policy", noRecord,
			Options{Profile: tlspolicy.Profile{Overrides: notFound}, Daemon: daemon{cached, admin.Lookup{Answer: "NOTFOUND"}, nil}},
			Override, "without that override: PROTECTED-STS, MTA-STS is enforced by the cached policy", 0},
		{"an override without any policy", noRecord, Options{Profile: tlspolicy.Profile{Overrides: notFound}},
			Override, "without that override: UNPROTECTED, it has no policy", 0},
		{"an override in mode monitor", noRecord, Options{Profile: tlspolicy.Profile{Overrides: notFound, Monitor: true}},
			Unprotected, "in mode enforce: OVERRIDE", 1},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			tt.world(w)
			tt.o.NoDANE = errNoDANE
			r, text := w.look(t, "a.test", tt.o)
			if r.Outcome != tt.outcome || !strings.Contains(r.Reason, tt.reason) || r.ExitStatus() != tt.status {
				t.Errorf("%s: %s, exit status %d; want %s, %q, %d", r.Outcome, r.Reason, r.ExitStatus(), tt.outcome, tt.reason, tt.status)
			}
			if first := fmt.Sprintf("a.test: %s: ", strings.ToUpper(string(tt.outcome))); !strings.HasPrefix(text, first) {
				t.Errorf("the first line does not begin with %q:\n%s", first, text)
			}
			if (r.Result != "") != (tt.outcome == Broken) {
				t.Errorf("result %q", r.Result)
			}
			for _, s := range r.Summary {
				if tt.outcome == Deferred && strings.Contains(s, "sent without protection") {
					t.Errorf("deferred, and yet: %s", s)
				}
			}
		})
	}
}

// query judges by the first map name of main.cf and shows where others are answered
// otherwise.
func TestMaps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("a.test", resolvertest.HostPolicy(enforce("a.test")))
	r, text := w.look(t, "a.test", Options{NoDANE: errNoDANE, Maps: []socketmap.MapName{{Name: "QUERYwithTLSRPT"}, {Name: "postfix"}}})
	plain := r.OtherMaps["postfix"]
	if !strings.HasPrefix(r.Postfix, plain+" policy_type=sts") || !strings.HasPrefix(plain, "OK secure") {
		t.Errorf("got %q and by the name postfix %q", r.Postfix, plain)
	}
	golden(t, "maps.txt", text)
}

// A policy that is too long for a tcp_table is answered with TEMP there.
func TestLongPolicy(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	text := enforce("a.test")
	for i := range 300 {
		text += fmt.Sprintf("mx: mx%d.a-long-name.test\n", i)
	}
	w.publish("a.test", resolvertest.HostPolicy(text))
	r, _ := w.look(t, "a.test", Options{NoDANE: errNoDANE, Maps: []socketmap.MapName{{TCP: true}, {Name: "postfix"}}})
	if r.Outcome != Deferred || !strings.HasPrefix(r.Postfix, "TEMP the policy is longer") || !strings.HasPrefix(r.OtherMaps["postfix"], "OK secure") {
		t.Errorf("%s, %q, others %q", r.Outcome, r.Postfix, r.OtherMaps)
	}
	r, _ = w.look(t, "a.test", Options{NoDANE: errNoDANE, Maps: []socketmap.MapName{{Name: "postfix"}, {Name: "postfix", TCP: true}}})
	if r.Outcome != ProtectedSTS || !strings.HasPrefix(r.OtherMaps["tcp_table postfix"], "TEMP the policy is longer") {
		t.Errorf("%s, %q, others %q", r.Outcome, r.Postfix, r.OtherMaps)
	}
}

// The screen of a terminal, 80 and 160 columns wide.
func TestScreens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.publish("xn--bcher-kva.test", resolvertest.HostPolicy(enforce("a.test")))
	for _, tt := range []struct {
		width  int
		colour bool
	}{{80, false}, {80, true}, {160, false}, {160, true}} {
		r, _ := w.look(t, "b\u00fccher.test", Options{NoDANE: errNoDANE})
		var out bytes.Buffer
		if err := r.Print(layout.Page{Writer: &out, Width: tt.width, Colour: tt.colour}); err != nil {
			t.Fatal(err)
		}
		golden(t, fmt.Sprintf("screen-%d-%v.txt", tt.width, tt.colour), steady(out.String()))
	}
}

// Whom to write to: the TLSRPT record, the zone, the postmaster.
func TestContact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.dns.Add(`_smtp._tls.a.test. 300 IN TXT "v=TLSRPTv1; rua=https://a.test/r,mailto:tls@a.test?x"`,
		`_smtp._tls.b.test. 300 IN TXT "v=TLSRPTv1; rua=https://b.test/r"`,
		`b.test. 300 IN SOA ns.b.test. host\.master.b.test. 1 2 3 4 5`)
	for domain, want := range map[string]string{"a.test": "tls@a.test", "b.test": "host.master@b.test", "c.test": "postmaster@c.test"} {
		if got := Contact(t.Context(), w.DNS, domain); got != want {
			t.Errorf("%s: %s, want %s", domain, got, want)
		}
	}
}

// Postfix with smtp_host_lookup = dns, native finds hosts that the DNS does not have.
func TestNativeLookup(t *testing.T) {
	t.Parallel()
	native := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != "relay.lan" {
			return nil, errors.New("no such host")
		}
		return []netip.Addr{netip.MustParseAddr("::ffff:192.0.2.1")}, nil
	}
	for _, tt := range []struct {
		key  string
		o    Options
		want Outcome
		addr string
	}{
		{"[relay.lan]:25", Options{NoDANE: errNoDANE}, Undeliverable, ""},
		{"[relay.lan]:25", Options{NoDANE: errNoDANE, Native: native}, Unprotected, "192.0.2.1"},
		{"[other.lan]", Options{NoDANE: errNoDANE, Native: native}, Undeliverable, ""},
	} {
		w := newWorld(t)
		r, text := w.look(t, tt.key, tt.o)
		if got := strings.Join(r.MX.Hosts[0].Addresses, " "); r.Outcome != tt.want || got != tt.addr {
			t.Errorf("%s: outcome %s, addresses %q in\n%s", tt.key, r.Outcome, got, text)
		}
	}
}
