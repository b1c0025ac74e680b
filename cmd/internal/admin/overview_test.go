package admin

import (
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/store"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// noDANE is never asked: the verdicts are in the store.
type noDANE struct{ resolver.DANEChecker }

// known returns Controls that know those domains, which have an enforced policy that matches
// no MX host, and their verdicts of DANE, 0 if DANE has not been looked up. A lookup of those
// with the verdict Unknown was answered with TEMP.
func known(t *testing.T, p *tlspolicy.Profile, verdicts map[string]dane.Kind) Controls {
	t.Helper()
	clk := clock.System()
	st, err := store.Open(filepath.Join(t.TempDir(), "policies.db"), clk, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	now := clk.Now()
	for name, kind := range verdicts {
		policy, err := mtasts.ParsePolicy("version: STSv1\nmode: enforce\nmx: mx." + name + "\nmax_age: 864000\n")
		if err != nil {
			t.Fatal(err)
		}
		e := store.Entry{Domain: domain(t, name), ID: "1", Policy: policy, Fetched: store.Fetched{Wall: time.Now(), At: now, ThisBoot: true},
			Recheck: now.Add(time.Hour), Used: now, Next: now.Add(time.Hour), Mismatch: now, ToMX: true}
		if kind != 0 {
			e.Verdicts = []store.Verdict{{MX: true, Port: dane.SMTPPort, Kind: uint8(kind), Until: now.Add(time.Hour)}}
		}
		st.Put(e)
	}
	r := resolver.New(resolver.Options{
		Settings: resolver.Settings{DANE: noDANE{}, Concurrency: 1,
			Limits: policies.Limits{Entries: 100, NegativeEntries: 100, RefreshInterval: 24 * time.Hour, Idle: 24 * time.Hour}},
		Clock: clk, Store: st, Logger: slog.New(slog.DiscardHandler)})
	t.Cleanup(r.Close)
	for name, kind := range verdicts {
		if kind == dane.Unknown {
			r.Deferred(resolver.NextHop{Domain: domain(t, name), MX: true, Port: dane.SMTPPort}, "SERVFAIL", p.Monitor)
		}
	}
	for begin := time.Now(); r.Counts().Mismatched < len(verdicts); time.Sleep(time.Millisecond) {
		if time.Since(begin) > 20*time.Second {
			t.Fatal("the resolver has not read all mismatches from the store")
		}
	}
	return Controls{Resolver: r, ReplyText: p.ReplyText}
}

func domain(t *testing.T, name string) mtasts.Domain {
	t.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// Mail is deferred if Postfix gets the policy's answer or TEMP, not if DANE or an override
// lets it through.
func TestDeferred(t *testing.T) {
	t.Parallel()
	answer := func(text string) tlspolicy.Override {
		return tlspolicy.Override{Reply: socketmap.Reply{Status: socketmap.OK, Data: []byte(text)}}
	}
	for _, monitor := range []bool{false, true} {
		p := &tlspolicy.Profile{Monitor: monitor, Overrides: tlspolicy.Overrides{Exact: map[mtasts.Domain]tlspolicy.Override{
			domain(t, "given.test"):      answer("may"),
			domain(t, "corrected.test"):  answer("secure match=mx.new.test"),
			domain(t, "given-temp.test"): answer("encrypt"),
		}}}
		c := known(t, p, map[string]dane.Kind{
			"sts.test": dane.None, "unchecked.test": 0, "unusable.test": dane.Unusable, "dane.test": dane.Full, "partial.test": dane.Partial,
			"temp.test": dane.Unknown, "given.test": dane.None, "corrected.test": dane.None, "given-temp.test": dane.Unknown,
		})
		o := c.Overview(100, time.Now())
		for _, check := range []struct {
			state string
			got   Some[Listed]
			want  string
		}{
			{StateMismatch, o.Mismatch, "sts.test temp.test unchecked.test unusable.test"},
			{StateTemp, o.Temp, "temp.test"},
		} {
			var names []string
			for _, l := range check.got.First {
				names = append(names, l.Domain)
			}
			slices.Sort(names)
			if got := strings.Join(names, " "); got != check.want || check.got.Total != len(names) {
				t.Errorf("monitor %v, %s: %s, %d in all, want %s", monitor, check.state, got, check.got.Total, check.want)
			}
		}
		if short := c.Overview(1, time.Now()); len(short.Mismatch.First) != 1 || short.Mismatch.Total != 4 {
			t.Errorf("monitor %v, at most one: %+v", monitor, short.Mismatch)
		}
	}
}
