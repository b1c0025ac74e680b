package daemon

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/resolvertest"
)

func tcp(address string) config.Address { return config.Address{Network: config.TCP, Address: address} }

func unixAt(path string) config.Address { return config.Address{Network: config.Unix, Address: path} }

// Several listeners of each protocol, of every family that this host has.
func TestListen(t *testing.T) {
	dir := t.TempDir()
	cfg := config.Listen{
		Socketmap:  []config.Address{tcp("127.0.0.1:0"), unixAt(dir + "/a"), unixAt(dir + "/b")},
		TCPTable:   []config.TCPTable{{Address: tcp("127.0.0.1:0")}, {Address: unixAt(dir + "/c"), Map: "tlsrpt"}},
		SocketMode: 0o660,
	}
	if resolvertest.KnowsLocalhost(t) {
		cfg.Socketmap = append(cfg.Socketmap, tcp("localhost:0"))
	}
	if _, err := os.Stat("/proc/net/if_inet6"); err == nil {
		cfg.Socketmap = append(cfg.Socketmap, tcp("[::1]:0"))
	} else {
		t.Log("this host has no IPv6: left out")
	}
	endpoints, err := listen(t.Context(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer closeAll(endpoints)
	if want := len(cfg.Socketmap) + len(cfg.TCPTable); len(endpoints) != want {
		t.Errorf("%d listeners, want %d", len(endpoints), want)
	}
	for _, e := range endpoints {
		c, err := net.Dial(e.Addr().Network(), e.Addr().String())
		if err != nil {
			t.Error(err)
			continue
		}
		c.Close()
		if !slices.Contains(names(endpoints), e.Addr().String()) {
			t.Errorf("%v is missing in %q", e.Addr(), names(endpoints))
		}
	}
	info, err := os.Stat(filepath.Join(dir, "a"))
	if err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

// A daemon that nobody can ask does not start.
func TestListenNowhere(t *testing.T) {
	t.Parallel()
	if endpoints, err := listen(t.Context(), config.Listen{}, nil); !errors.Is(err, errNowhere) {
		t.Errorf("%v, %v", endpoints, err)
	}
}

// If one cannot be opened, none stays open.
func TestListenAllOrNone(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	path := filepath.Join(t.TempDir(), "socket")
	for name, cfg := range map[string]config.Listen{
		"socketmap": {Socketmap: []config.Address{unixAt(path), tcp(taken.Addr().String())}, SocketMode: 0o600},
		"tcp_table": {Socketmap: []config.Address{unixAt(path)}, TCPTable: []config.TCPTable{{Address: tcp(taken.Addr().String())}}, SocketMode: 0o600},
	} {
		endpoints, err := listen(t.Context(), cfg, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "listen."+name+": ") || endpoints != nil {
			t.Errorf("%s: %v, %v", name, endpoints, err)
		}
		if _, err := os.Stat(path); err == nil {
			t.Errorf("%s: the socket is still there", name)
		}
	}
}
