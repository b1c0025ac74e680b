package dnsclient

import (
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

// TestTrustsADOwnAddresses: a resolver on any of this host's addresses is on
// this host, whether or not it is named with its zone.
func TestTrustsADOwnAddresses(t *testing.T) {
	t.Parallel()
	own := ownAddresses()
	if len(own) == 0 {
		t.Fatal("no addresses, not even the loopback's")
	}
	for _, addr := range own {
		servers := []netip.AddrPort{netip.AddrPortFrom(addr, port)}
		if addr.IsLinkLocalUnicast() && addr.Is6() {
			servers = append(servers, netip.AddrPortFrom(addr.WithZone("eth0"), port))
		}
		if !New(Options{Servers: servers}).TrustsAD() {
			t.Errorf("%v: not believed", servers)
		}
	}
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
