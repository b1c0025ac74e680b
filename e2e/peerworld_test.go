package e2e

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/miekg/dns"
	"golang.org/x/sys/unix"
)

// peerResolver is the resolver's address for peers, in every file that they may
// read: /etc/resolv.conf names it too.
var peerResolver = netip.MustParseAddrPort("127.0.0.1:53")

// serveZone serves the authority's answers at peerResolver.
func (w *world) serveZone(t *testing.T) {
	t.Helper()
	packets, err := net.ListenPacket("udp", peerResolver.String())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", peerResolver.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, server := range []*dns.Server{
		{PacketConn: packets, Handler: w.zone, UDPSize: dns.MaxMsgSize},
		{Listener: listener, Handler: w.zone},
	} {
		started, ended := make(chan struct{}), make(chan error)
		server.NotifyStartedFunc = func() { close(started) }
		go func() { ended <- server.ActivateAndServe() }()
		<-started
		t.Cleanup(func() {
			if err := errors.Join(server.Shutdown(), <-ended); err != nil {
				t.Error(err)
			}
		})
	}
}

// useResolver has every process here find peerResolver in /etc/resolv.conf, as
// long as the test lasts.
func useResolver(t *testing.T) {
	t.Helper()
	const path = "/etc/resolv.conf"
	file := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(file, []byte("nameserver "+peerResolver.Addr().String()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mount(file, path, "", unix.MS_BIND, ""); err != nil {
		t.Fatalf("mounting %s: %v", path, err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(path, unix.MNT_DETACH); err != nil {
			t.Errorf("unmounting %s: %v", path, err)
		}
	})
}
