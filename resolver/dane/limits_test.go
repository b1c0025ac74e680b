package dane_test

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

// TestTTL: the least of all that the verdict was made of, within its bounds.
func TestTTL(t *testing.T) {
	t.Parallel()
	const mx, host, tlsa = "d.test. %d IN MX 10 mx.test.", "mx.test. %d IN A 192.0.2.1", "_25._tcp.mx.test. %d IN "
	for _, tt := range []struct {
		mx, host, tlsa int // seconds
		want           time.Duration
	}{
		{300, 400, 500, 300 * time.Second},
		{500, 300, 400, 300 * time.Second},
		{400, 500, 300, 300 * time.Second},
		{7200, 7200, 7200, dane.MaxTTL},
		{7200, 7200, 0, dane.MinTTL},
		{59, 300, 300, dane.MinTTL},
	} {
		server := world(t, fmt.Sprintf(mx, tt.mx), fmt.Sprintf(host, tt.host), fmt.Sprintf(tlsa, tt.tlsa)+good)
		got, err := newChecker(server).Check(t.Context(), domain(t, "d.test"), true, 25)
		if want := (dane.Verdict{Kind: dane.Full, TTL: tt.want}); err != nil || got != want {
			t.Errorf("%v: got %v, error %v", tt, got, err)
		}
	}
	// Absences count by their negative TTL, if they have one.
	server := world(t, "d.test. 7200 IN MX 10 mx.test.", "mx.test. 7200 IN A 192.0.2.1")
	got, err := newChecker(server).Check(t.Context(), domain(t, "d.test"), true, 25)
	if want := (dane.Verdict{Kind: dane.None, TTL: 900 * time.Second}); err != nil || got != want {
		t.Errorf("no TLSA records: got %v, error %v", got, err)
	}
	server.Misbehave("_25._tcp.mx.test", resolvertest.DNSWithoutSOA)
	got, err = newChecker(server).Check(t.Context(), domain(t, "d.test"), true, 25)
	if want := (dane.Verdict{Kind: dane.None, TTL: dane.MinTTL}); err != nil || got != want {
		t.Errorf("no TLSA records, no SOA record: got %v, error %v", got, err)
	}
}

// fakeDNS has a domain of n MX hosts, all with DANE, and counts.
type fakeDNS struct {
	n           int
	delay       time.Duration // of each question for a host
	hangs       string        // a host that gives no answer
	asked       atomic.Int64  // hosts
	now, atOnce atomic.Int64  // hosts being asked for
}

func (f *fakeDNS) MX(context.Context, string) (dnsclient.Answer[dnsclient.MX], error) {
	a := dnsclient.Answer[dnsclient.MX]{TTL: time.Hour, HasTTL: true, Authenticated: true}
	for i := range f.n {
		a.Records = append(a.Records, dnsclient.MX{Host: fmt.Sprintf("mx%d.test", i), Preference: uint16(i)})
	}
	return a, nil
}

func (f *fakeDNS) Host(ctx context.Context, name string) (dnsclient.Host, error) {
	f.asked.Add(1)
	now := f.now.Add(1)
	defer f.now.Add(-1)
	for most := f.atOnce.Load(); now > most && !f.atOnce.CompareAndSwap(most, now); most = f.atOnce.Load() {
	}
	wait := time.After(f.delay)
	if name == f.hangs {
		wait = nil
	}
	select {
	case <-wait:
	case <-ctx.Done():
		return dnsclient.Host{}, ctx.Err()
	}
	return dnsclient.Host{
		Answer: dnsclient.Answer[netip.Addr]{
			Records: []netip.Addr{netip.MustParseAddr("192.0.2.1")},
			TTL:     time.Hour, HasTTL: true, Authenticated: true,
		},
		Canonical: name,
	}, nil
}

func (f *fakeDNS) CNAME(_ context.Context, name string) (dnsclient.Answer[string], error) {
	panic("no host is a CNAME, but asked for " + name)
}

func (f *fakeDNS) TLSA(context.Context, string) (dnsclient.Answer[dnsclient.TLSA], error) {
	return dnsclient.Answer[dnsclient.TLSA]{
		Records: []dnsclient.TLSA{{Usage: 3, Selector: 1, MatchingType: 1, Data: make([]byte, 32)}},
		TTL:     time.Hour, HasTTL: true, Authenticated: true,
	}, nil
}

// TestManyHosts: neither all of them nor many at once are looked at.
func TestManyHosts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fake := &fakeDNS{n: 1000, delay: time.Second}
		begin := time.Now()
		got, err := dane.New(fake).Check(t.Context(), domain(t, "d.test"), true, 25)
		if diff := cmp.Diff(dane.Verdict{Kind: dane.Full, TTL: time.Hour}, got); err != nil || diff != "" {
			t.Errorf("error %v, (-want +got)\n%s", err, diff)
		}
		if fake.asked.Load() != 20 || fake.atOnce.Load() != 8 || time.Since(begin) != 3*time.Second {
			t.Errorf("%d hosts, %d at once, %v", fake.asked.Load(), fake.atOnce.Load(), time.Since(begin))
		}
	})
}

// TestUsualHosts: the hosts of nearly all domains take no longer than one host.
func TestUsualHosts(t *testing.T) {
	t.Parallel()
	for n := 1; n <= 8; n++ {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			if _, err := dane.New(&fakeDNS{n: n, delay: time.Second}).Check(t.Context(), domain(t, "d.test"), true, 25); err != nil {
				t.Error(err)
			}
			if took := time.Since(begin); took != time.Second {
				t.Errorf("%d hosts: took %v", n, took)
			}
		})
	}
}

// TestTimeLimit: a host that hangs does not keep the others' findings back for
// ever.
func TestTimeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin := time.Now()
		got, err := dane.New(&fakeDNS{n: 3, hangs: "mx1.test"}).Check(t.Context(), domain(t, "d.test"), true, 25)
		if want := (dane.Verdict{Kind: dane.Partial, TTL: dane.MinTTL, Incomplete: true}); err != nil || got != want {
			t.Errorf("got %v, error %v; want %v", got, err, want)
		}
		if d := time.Since(begin); d != 30*time.Second {
			t.Errorf("took %v", d)
		}
	})
}

// TestGivenUp: if the caller gives up, Check returns no verdict and leaves no
// goroutine behind; synctest fails if one is left.
func TestGivenUp(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		enough := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, enough)
		defer cancel()
		got, err := dane.New(&fakeDNS{n: 3, hangs: "mx1.test"}).Check(ctx, domain(t, "d.test"), true, 25)
		if !errors.Is(err, enough) || got != (dane.Verdict{}) {
			t.Errorf("got %v, error %v", got, err)
		}
	})
}

// TestLongNames: the longest host names leave no room for the labels of a TLSA
// record's name.
func TestLongNames(t *testing.T) {
	t.Parallel()
	label := func(n int) string { return fmt.Sprintf("%0*d", n, 0) }
	long := label(63) + "." + label(63) + "." + label(63) + "." + label(50) + ".test"
	server := world(t, "d.test. 900 IN MX 10 "+long+".", long+". 900 IN A 192.0.2.1")
	got, err := newChecker(server).Check(t.Context(), domain(t, "d.test"), true, 25)
	if err != nil || got.Kind != dane.None {
		t.Errorf("got %v, error %v", got.Kind, err)
	}
}

// TestPortUnknown: nobody is asked.
func TestPortUnknown(t *testing.T) {
	t.Parallel()
	for _, mx := range []bool{false, true} {
		got, err := dane.New(nil).Check(t.Context(), domain(t, "d.test"), mx, 0)
		if want := (dane.Verdict{Kind: dane.None, TTL: dane.MaxTTL}); err != nil || got != want {
			t.Errorf("mx %v: got %v, error %v", mx, got, err)
		}
	}
}

func TestKindString(t *testing.T) {
	t.Parallel()
	seen := make(map[string]bool)
	for k := dane.None; k <= dane.Full; k++ {
		seen[k.String()] = true
	}
	if len(seen) != 5 || seen["invalid"] || dane.Kind(0).String() != "invalid" {
		t.Errorf("words %v", seen)
	}
}
