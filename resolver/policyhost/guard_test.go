package policyhost

import (
	"net/netip"
	"strings"
	"testing"
)

// Every special-purpose network, and the addresses on either side of it.
func TestGuardEdges(t *testing.T) {
	t.Parallel()
	const public = true // a neighbour that is a public address
	for _, c := range []struct {
		first, last   string
		before, after bool
	}{
		{"0.0.0.0", "0.255.255.255", false, public},
		{"10.0.0.0", "10.255.255.255", public, public},
		{"100.64.0.0", "100.127.255.255", public, public},
		{"127.0.0.0", "127.255.255.255", public, public},
		{"169.254.0.0", "169.254.255.255", public, public},
		{"172.16.0.0", "172.31.255.255", public, public},
		{"192.0.0.0", "192.0.0.255", public, public},
		{"192.0.2.0", "192.0.2.255", public, public},
		{"192.31.196.0", "192.31.196.255", public, public},
		{"192.52.193.0", "192.52.193.255", public, public},
		{"192.88.99.0", "192.88.99.255", public, public},
		{"192.168.0.0", "192.168.255.255", public, public},
		{"192.175.48.0", "192.175.48.255", public, public},
		{"198.18.0.0", "198.19.255.255", public, public},
		{"198.51.100.0", "198.51.100.255", public, public},
		{"203.0.113.0", "203.0.113.255", public, public},
		{"224.0.0.0", "239.255.255.255", public, false},
		{"240.0.0.0", "255.255.255.255", false, false},

		{"::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, public},
		{"2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", public, public},
		{"2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", public, public},
		{"2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", public, public},
		{"2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", public, public},
		{"3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", public, public},
		{"4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", public, false},
	} {
		first, last := netip.MustParseAddr(c.first), netip.MustParseAddr(c.last)
		checkGuard(t, guard{}, first, false)
		checkGuard(t, guard{}, last, false)
		if before := first.Prev(); before.IsValid() {
			checkGuard(t, guard{}, before, c.before)
		}
		if after := last.Next(); after.IsValid() {
			checkGuard(t, guard{}, after, c.after)
		}
	}
}

func checkGuard(t *testing.T, g guard, addr netip.Addr, open bool) {
	t.Helper()
	err := g.check(addr)
	if (err == nil) != open {
		t.Errorf("%v: %v, want it open: %v", addr, err, open)
	}
	if err != nil && (!strings.Contains(err.Error(), addr.Unmap().String()) || !strings.Contains(err.Error(), "fetch.allow_networks")) {
		t.Errorf("message %q does not name the address and the remedy", err)
	}
}

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		addr  string
		allow string // networks
		open  bool
	}{
		{"8.8.8.8", "", true},
		{"2a00:1450::1", "", true},
		{"127.0.0.1", "", false},
		{"::1", "", false},
		{"::", "", false},
		{"0.0.0.0", "", false},
		{"255.255.255.255", "", false},
		{"fe80::1", "", false},
		{"fc00::1", "", false},
		{"fd12::1", "", false},
		{"fec0::1", "", false},
		{"ff02::1", "", false},
		{"100::1", "", false},
		{"5f00::1", "", false},
		{"64:ff9b:1::1", "", false},
		{"2001:0:1::1", "", false}, // Teredo

		// A zone never passes, whatever is allowed.
		{"fe80::1%eth0", "", false},
		{"2a00:1450::1%eth0", "", false},
		{"fe80::1%eth0", "fe80::/10 ::/0", false},

		// IPv4-mapped.
		{"::ffff:8.8.8.8", "", true},
		{"::ffff:127.0.0.1", "", false},
		{"::ffff:10.0.0.1", "", false},
		{"::ffff:127.0.0.1", "127.0.0.0/8", true},
		{"127.0.0.1", "::ffff:127.0.0.0/104", true},
		{"10.0.0.1", "::ffff:127.0.0.0/104", false},

		// IPv4-compatible is not IPv4.
		{"::8.8.8.8", "", false},

		// NAT64.
		{"64:ff9b::808:808", "", true},
		{"64:ff9b::7f00:1", "", false},
		{"64:ff9b::a00:1", "", false},
		{"64:ff9b::a00:1", "10.0.0.0/8", true},
		{"64:ff9b::a00:1", "64:ff9b::/96", true},
		{"10.0.0.1", "64:ff9b::/96", false},
		{"64:ff9b::1:808:808", "", false}, // beside the prefix

		{"64:ff9b:1::a00:1", "10.0.0.0/8", false}, // the prefix for local use (RFC 8215)
		{"64:ff9b:1::a00:1", "64:ff9b:1::/48", true},
		{"::ffff:0:a00:1", "10.0.0.0/8", false}, // IPv4-translated (RFC 2765)

		// 6to4 and Teredo, of public addresses and of others.
		{"2002:808:808::1", "", false},
		{"2002:a00:1::1", "10.0.0.0/8", false},
		{"2001:0:808:808::f5ff:fffe", "10.0.0.0/8", false},

		// Listed networks are allowed, and no others.
		{"127.0.0.1", "127.0.0.1/32", true},
		{"127.0.0.2", "127.0.0.1/32", false},
		{"127.0.0.2", "127.0.0.1/8", true}, // the host bits do not count
		{"10.1.2.3", "127.0.0.0/8 10.0.0.0/8", true},
		{"::1", "127.0.0.0/8", false},
		{"::1", "::1/128", true},
		{"fd12::1", "fd00::/8", true},
		{"127.0.0.1", "::/0", false},
		{"fd12::1", "0.0.0.0/0", false},
		{"127.0.0.1", "0.0.0.0/0", true},
	} {
		var allow []netip.Prefix
		for _, p := range strings.Fields(c.allow) {
			allow = append(allow, netip.MustParsePrefix(p))
		}
		if err := newGuard(allow).check(netip.MustParseAddr(c.addr)); (err == nil) != c.open {
			t.Errorf("%s with %q allowed: %v, want it open: %v", c.addr, c.allow, err, c.open)
		}
	}
	if newGuard(nil).check(netip.Addr{}) == nil {
		t.Error("the zero Addr is open")
	}
}
