package dnsclient

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestTrustsADServers(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		servers []string
		want    bool
	}{
		{[]string{"127.0.0.1:53"}, true},
		{[]string{"127.0.0.53:5353", "[::1]:53"}, true},
		{[]string{"[::ffff:127.0.0.1]:53"}, true},
		{[]string{"0.0.0.0:53"}, true},
		{[]string{"192.0.2.1:53"}, false},
		{[]string{"127.0.0.1:53", "192.0.2.1:53"}, false},
		{[]string{"192.0.2.1:53", "127.0.0.1:53"}, false},
		{[]string{"[2001:db8::1]:53"}, false},
		{[]string{"127.0.0.11:53"}, false}, // a container engine's
		{[]string{"[fe80::1]:53"}, false},  // on whichever link
	} {
		var servers []netip.AddrPort
		for _, s := range tt.servers {
			servers = append(servers, netip.MustParseAddrPort(s))
		}
		// The option of a resolv.conf that is not in use does not count.
		conf := filepath.Join(t.TempDir(), "resolv.conf")
		if err := os.WriteFile(conf, []byte("options trust-ad\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := New(Options{Servers: servers, ResolvConf: conf}).TrustsAD(); got != tt.want {
			t.Errorf("%q: got %v", tt.servers, got)
		}
	}
}

// TestTrustsADOwnAddresses: a resolver on any of this host's addresses is on this
// host, if it is on the link that the zone names.
func TestTrustsADOwnAddresses(t *testing.T) {
	t.Parallel()
	links, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	if len(links) == 0 {
		t.Fatal("no interfaces, not even the loopback's")
	}
	for _, link := range links {
		nets, err := link.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range nets {
			addr := netip.MustParsePrefix(n.String()).Addr()
			if !addr.Is6() || !addr.IsLinkLocalUnicast() {
				if !trusted(addr) {
					t.Errorf("%v: AD does not count", addr)
				}
				continue
			}
			for zone, want := range map[string]bool{link.Name: true, fmt.Sprint(link.Index): true, "": false, "none0": false, "lo": false} {
				if got := trusted(addr.WithZone(zone)); got != want {
					t.Errorf("%v: AD counts: %v", addr.WithZone(zone), got)
				}
			}
		}
	}
}

func trusted(addr netip.Addr) bool {
	return New(Options{Servers: []netip.AddrPort{netip.AddrPortFrom(addr, port)}}).TrustsAD()
}

// TestTrustsADResolvConf: the answer follows the file.
func TestTrustsADResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	client := New(Options{ResolvConf: path})
	synctest.Test(t, func(t *testing.T) {
		for _, step := range []struct {
			text string
			want bool
		}{
			{"nameserver 192.0.2.1\n", false},
			{"nameserver 192.0.2.1\noptions trust-ad\n", true},
			{"nameserver 192.0.2.1\noptions edns0\noptions timeout:1 trust-ad rotate\n", true},
			{"nameserver 192.0.2.1\noptions trust-ad:1 no-trust-ad\n", false},
			{"nameserver 192.0.2.1\n#options trust-ad\n", false},
			{"nameserver 192.0.2.1\nsearch options trust-ad\n", false},
			{"nameserver 127.0.0.53\noptions edns0\n", true},
			{"nameserver 127.0.0.1\nnameserver 192.0.2.1\n", false},
			{"", true}, // this host's own resolver
		} {
			if err := os.WriteFile(path, []byte(step.text), 0o600); err != nil {
				t.Fatal(err)
			}
			time.Sleep(checkEvery)
			if got := client.TrustsAD(); got != step.want {
				t.Errorf("%q: got %v", step.text, got)
			}
		}
	})
}
