package daemon

import (
	"net/netip"
	"slices"
	"testing"
)

func TestAddressesOf(t *testing.T) {
	t.Parallel()
	const hosts = "127.0.0.1\tlocalhost\n# 192.0.2.9 relay.lan\n192.0.2.1 relay.lan relay # smart host\n" +
		"2001:db8::1   Relay.LAN.\nbad relay.lan\n192.0.2.2\n192.0.2.3 xrelay.lan"
	for name, want := range map[string][]netip.Addr{
		"relay.lan":  {netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")},
		"xrelay.lan": {netip.MustParseAddr("192.0.2.3")},
		"other.lan":  nil,
		"smart":      nil,
	} {
		if got := addressesOf(hosts, name); !slices.Equal(got, want) {
			t.Errorf("%s: %v; want %v", name, got, want)
		}
	}
}
