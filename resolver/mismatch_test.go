package resolver

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// TestMismatch tests which MX hosts are a mismatch.
func TestMismatch(t *testing.T) {
	hosts := func(names ...string) (records []dnsclient.MX) {
		for i, name := range names {
			records = append(records, dnsclient.MX{Host: name, Preference: uint16(i)})
		}
		return records
	}
	many := hosts()
	for i := range 40 {
		many = append(many, dnsclient.MX{Host: fmt.Sprintf("mx%d.example.net", i), Preference: uint16(i)})
	}
	for _, tc := range []struct {
		name     string
		patterns []string
		mx       []dnsclient.MX
		mismatch bool
	}{
		{"a match", []string{"mx.example"}, hosts("mx.example"), false},
		{"none", []string{"mx.example"}, hosts("other.example"), true},
		{"one of several", []string{"mx.example"}, hosts("other.example", "mx.example"), false},
		{"null MX", []string{"mx.example"}, hosts(""), false},
		{"no MX records, policy names the domain", []string{"a.example"}, nil, false},
		{"no MX records, policy names another", []string{"mx.example"}, nil, true},
		{"the fortieth", []string{"mx39.example.net"}, many, false},
		{"an underscore", []string{"*.0123.a.example"}, hosts("_dc-mx.0123.a.example"), false},
		{"a single label", []string{"mx.example"}, hosts("mx"), true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				text := "version: STSv1\nmode: enforce\nmx: " + strings.Join(tc.patterns, "\nmx: ") + "\nmax_age: 864000\n"
				w.publish("a.example", "1", text)
				r := w.resolver()
				s := *r.settings.Load()
				s.MX = mxRecords(tc.mx)
				r.Configure(s)
				expect(t, r, "a.example", "enforce/1")
				synctest.Wait()
				if got := r.Counts().Mismatched == 1; got != tc.mismatch {
					t.Errorf("mismatch: %v, want %v\n%s", got, tc.mismatch, &w.log)
				}
			})
		})
	}
}

type mxRecords []dnsclient.MX

func (m mxRecords) MX(context.Context, string) (dnsclient.Answer[dnsclient.MX], error) {
	return dnsclient.Answer[dnsclient.MX]{Records: m}, nil
}

// MX hosts that move after the fetch are noticed at the next recheck, and a mismatch
// outlives restarts and eviction.
func TestMismatchIsFollowed(t *testing.T) {
	onMachine(t, func(t *testing.T, m *machineRun) {
		m.start()
		m.publish("a.example", "1", policyText("enforce", "8640000"))
		expect(t, m.r, "a.example", "enforce/1")
		setMX := func(host string) {
			m.mu.Lock()
			defer m.mu.Unlock()
			m.mx["a.example"] = host
		}
		recheck := func(mismatched, logged, ended int) {
			t.Helper()
			time.Sleep(6 * time.Minute)
			expect(t, m.r, "a.example", "enforce/1")
			synctest.Wait()
			if n := m.r.Counts().Mismatched; n != mismatched {
				t.Errorf("%d mismatched, want %d", n, mismatched)
			}
			m.expectLogged("matches none of its domain's MX hosts", logged)
			m.expectLogged("matches an MX host again", ended)
		}
		recheck(0, 0, 0)
		setMX("other.example")
		recheck(1, 1, 0)
		for _, again := range variants {
			again(m)
			synctest.Wait()
			if n := m.r.Counts().Mismatched; n != 1 {
				t.Errorf("%d mismatched, want 1", n)
			}
			recheck(1, 1, 0)
		}
		if k, _ := m.r.Known(hop(t, "a.example").Domain); k.Mismatch.IsZero() || time.Since(k.Mismatch) < 10*time.Minute {
			t.Errorf("mismatched since %v", k.Mismatch)
		}
		setMX("mx.example")
		recheck(0, 1, 1)
	})
}

// A name that is used only as a bracketed next hop has no MX hosts to match.
func TestBracketedHopIsNoMismatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.publish("mx.example", "1", "version: STSv1\nmode: enforce\nmx: mx.example\nmax_age: 864000\n")
		w.mx["mx.example"] = "elsewhere.example"
		r := w.resolver()
		look := func(h NextHop) {
			t.Helper()
			if _, ok := r.Cached(h, time.Now()); ok {
				return
			}
			if a, err := r.Resolve(t.Context(), h); err != nil || a.Policy == nil {
				t.Errorf("%+v: %+v, %v", h, a, err)
			}
		}
		bracketed := hop(t, "mx.example")
		bracketed.MX = false
		for range 5 {
			look(bracketed)
			time.Sleep(6 * time.Minute)
		}
		if n := r.Counts().Mismatched; n != 0 {
			t.Errorf("%d mismatched", n)
		}
		look(hop(t, "mx.example")) // now as a domain
		synctest.Wait()
		if n := r.Counts().Mismatched; n != 1 {
			t.Errorf("%d mismatched, want 1", n)
		}
	})
}

// manyMX is a DNS in which every domain has thousands of MX hosts.
type manyMX struct{}

func (manyMX) MX(context.Context, string) (a dnsclient.Answer[dnsclient.MX], err error) {
	for i := range 4000 {
		a.Records = append(a.Records, dnsclient.MX{Host: fmt.Sprintf("%s%d.example.net", strings.Repeat("x", 50), i), Preference: uint16(i)})
	}
	return a, nil
}

// Thousands of MX hosts and thousands of patterns make one short line.
func TestMismatchOfThousands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		text := policyText("enforce", "864000")
		for i := range 3500 {
			text += fmt.Sprintf("mx:x%d.example\n", i)
		}
		w := newWorld(t)
		w.publish("a.example", "1", text)
		r := w.resolver()
		s := *r.settings.Load()
		s.MX = manyMX{}
		r.Configure(s)
		expect(t, r, "a.example", "enforce/1")
		time.Sleep(time.Minute)
		w.expectLogged("none of its domain's MX hosts", 1)
		if n := w.log.Len(); n > 4<<10 {
			t.Errorf("%d bytes in the log", n)
		}
	})
}
