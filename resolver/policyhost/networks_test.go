package policyhost

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// In an IPv6 network with many handshakes a domain has one at a time. So nobody's
// many addresses there keep another domain out.
func TestNetworkLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, flood := newLimits(), numbered(t, 0)
		addr := netip.MustParseAddr("2001:db8:1::")
		first := mustEnter(t, l, flood, addr)
		fill := func() (places []*place) {
			for range maxNetworkHandshakes - 1 {
				addr = addr.Next()
				places = append(places, mustEnter(t, l, flood, addr))
			}
			return places
		}
		for _, p := range fill() {
			p.leave()
		}
		fill() // the first still counts
		mustWait(t, l, flood, addr.Next())
		mustEnter(t, l, flood, netip.MustParseAddr("2001:db8:2::1"))

		other := numbered(t, 1)
		p := mustEnter(t, l, other, addr.Next())
		mustWait(t, l, other, addr.Next().Next())
		time.AfterFunc(time.Second, p.established)
		if _, err := l.enter(t.Context(), other, addr.Next().Next()); err != nil {
			t.Errorf("when its own handshake has ended: %v", err)
		}
		time.AfterFunc(time.Second, first.leave)
		// Still one too many: the network has as many as before the other domain.
		mustWait(t, l, flood, addr.Next().Next().Next())
	})
}

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1":            "invalid Prefix",
		"64:ff9b::c000:201":    "invalid Prefix",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1::/48",
		"64:ff9b:1::c000:201":  "64:ff9b:1::/48",
	} {
		if got := networkOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s counts with %v, want %s", addr, got, want)
		}
	}
}
