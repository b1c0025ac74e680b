package bench

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
)

// fill makes a policy file like that of a daemon that was stopped an hour ago:
// all policies hold, all records are to be asked for again, and none of the
// policies is due to be fetched yet.
func fill(b *testing.B, policies int) (path string) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "policies.db")
	if err := bed.Fill(path, policies, time.Now().Add(-time.Hour), 5*time.Minute); err != nil {
		b.Fatal(err)
	}
	return path
}

// startDNS starts a resolver that has the record of every domain.
func startDNS(b *testing.B) (addr string) {
	b.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	go bed.DNS{PolicyHosts: netip.IPv4Unspecified(), MailHosts: netip.IPv4Unspecified()}.Serve(conn)
	return conn.LocalAddr().String()
}
