package policyhost

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/resolver/resolvertest"
)

// A host has three addresses; each case has their behaviour and the result.
func TestFetchTriesEveryAddress(t *testing.T) {
	t.Parallel()
	good, expired := resolvertest.HostPolicy(testPolicy), resolvertest.HostExpired(testPolicy)
	hangs, closes := resolvertest.HostHangsInHandshake(), resolvertest.HostCloses()
	refuses := resolvertest.Behaviour{} // nobody listens
	for name, c := range map[string]struct {
		hosts    [3]resolvertest.Behaviour
		result   Result
		messages []string // all of them
	}{
		"first good":     {[3]resolvertest.Behaviour{good, closes, closes}, ResultOK, nil},
		"first closes":   {[3]resolvertest.Behaviour{closes, closes, good}, ResultOK, nil},
		"first refuses":  {[3]resolvertest.Behaviour{refuses, refuses, good}, ResultOK, nil},
		"first hangs":    {[3]resolvertest.Behaviour{hangs, hangs, good}, ResultOK, nil},
		"first expired":  {[3]resolvertest.Behaviour{expired, expired, good}, ResultOK, nil},
		"one of a kind":  {[3]resolvertest.Behaviour{hangs, expired, good}, ResultOK, nil},
		"all fail":       {[3]resolvertest.Behaviour{closes, refuses, closes}, ResultFetchError, []string{"127.0.0.2:", "127.0.0.3:", "127.0.0.4:", "connection refused"}},
		"last expired":   {[3]resolvertest.Behaviour{closes, refuses, expired}, ResultWebPKIInvalid, []string{"certificate has expired", "connection refused"}},
		"expired, hangs": {[3]resolvertest.Behaviour{expired, hangs, hangs}, ResultWebPKIInvalid, []string{"certificate has expired", "not done within 1s"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			o := options(ca, resolvertest.StartPolicyHosts(t, ca)) // holds a port
			o.Addresses = addresses("127.0.0.2", "127.0.0.3", "127.0.0.4")
			o.Timeout = time.Second
			if c.result == ResultOK {
				o.Timeout = 20 * time.Second
			}
			for i, b := range c.hosts {
				if b.Respond == nil && b.BeforeHandshake == nil {
					continue
				}
				at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, byte(i + 2)}), o.TestingOnlyPort)
				resolvertest.StartPolicyHostsAt(t, ca, at.String()).Handle(testDomain, b)
			}
			text, err := New(o).Fetch(t.Context(), domain(t, testDomain))
			if c.result == ResultOK {
				if err != nil || text != testPolicy {
					t.Errorf("Fetch gives %q, %v", text, err)
				}
				return
			}
			for _, message := range c.messages {
				checkFetchError(t, err, c.result, message)
			}
			checkPrintable(t, err)
		})
	}
}

func TestFetchRefusedAddresses(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	hosts.Serve(testDomain, testPolicy)
	o := options(ca, hosts)
	o.AllowNetworks = nil
	o.Addresses = addresses("::ffff:127.0.0.1", "fd00::1")
	_, err := New(o).Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError,
		"address fd00::1 is not connected to: it is outside 2000::/3, the public IPv6 addresses; fetch.allow_networks can allow it; "+
			"address 127.0.0.1 is not connected to: it is in 127.0.0.0/8, loopback (RFC 1122); fetch.allow_networks can allow it")
	if n := hosts.Requests(testDomain); n != 0 {
		t.Errorf("%d requests", n)
	}
}

// DNS rebinding, a name whose addresses change from lookup to lookup, has no
// effect: there is one lookup, and the addresses dialled are those that were
// checked.
func TestFetchRebinding(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	hosts.Serve(testDomain, testPolicy)
	o := options(ca, hosts)
	o.AllowNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}
	lookups := 0
	o.Addresses = func(context.Context, string) ([]netip.Addr, error) {
		lookups++
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, byte(3 - lookups)})}, nil
	}
	// Nobody listens at 127.0.0.2; at 127.0.0.1, which comes second, the host does.
	_, err := New(o).Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "127.0.0.2:")
	if lookups != 1 || hosts.Requests(testDomain) != 0 {
		t.Errorf("%d lookups, %d requests; want 1, 0", lookups, hosts.Requests(testDomain))
	}
}

func TestFetchNoAddresses(t *testing.T) {
	t.Parallel()
	_, err := New(Options{Addresses: addresses()}).Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "the host has no addresses")

	broken := errors.New("SERVFAIL")
	lookup := func(_ context.Context, host string) ([]netip.Addr, error) {
		if host != testHost {
			t.Errorf("looked up %q", host)
		}
		return nil, broken
	}
	_, err = New(Options{Addresses: lookup}).Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "SERVFAIL")
	if !errors.Is(err, broken) {
		t.Errorf("%v does not wrap the lookup's error", err)
	}
}

func TestTargets(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ addrs, want string }{
		{"", ""},
		{"192.0.2.1", "192.0.2.1:443"},
		{"192.0.2.1 192.0.2.2 2001:db8::1", "[2001:db8::1]:443 192.0.2.1:443 192.0.2.2:443"},
		{"2001:db8::1 2001:db8::2 192.0.2.1", "[2001:db8::1]:443 192.0.2.1:443 [2001:db8::2]:443"},
		{"192.0.2.1 192.0.2.1 ::ffff:192.0.2.1", "192.0.2.1:443"},
		{strings.Repeat("192.0.2.1 ", 99) + "2001:db8::1", "[2001:db8::1]:443 192.0.2.1:443"},
	} {
		var addrs []netip.Addr
		for _, a := range strings.Fields(c.addrs) {
			addrs = append(addrs, netip.MustParseAddr(a))
		}
		var got []string
		for _, target := range New(Options{}).targets(addrs) {
			got = append(got, target.String())
		}
		if diff := cmp.Diff(c.want, strings.Join(got, " ")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", c.addrs, diff)
		}
	}

	var many []netip.Addr
	for addr := netip.MustParseAddr("192.0.2.1"); len(many) < 4*maxAddresses; addr = addr.Next() {
		many = append(many, addr)
	}
	if n := len(New(Options{}).targets(many)); n != maxAddresses {
		t.Errorf("%d addresses of %d are tried, want %d", n, len(many), maxAddresses)
	}
}

// A fetch connects to port 443, except in tests.
func TestDefaults(t *testing.T) {
	t.Parallel()
	c := New(Options{})
	if c.port != 443 || c.timeout != time.Minute {
		t.Errorf("port %d, timeout %v", c.port, c.timeout)
	}
}

func TestWithoutAddresses(t *testing.T) {
	t.Parallel()
	_, err := dialTCP(t.Context(), netip.MustParseAddrPort("127.0.0.1:1"))
	var op *net.OpError
	if err == nil || errors.As(err, &op) || strings.Contains(err.Error(), "127.0.0.1") {
		t.Errorf("error %v names the address", err)
	}
}
