package bench

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"mta-sts-daemon/e2e/bench/internal/bed"
)

// dueEnv makes all policies of the file due to be fetched.
const dueEnv = "BENCH_DUE"

func allDue() bool { return os.Getenv(dueEnv) != "" }

// fill makes a policy file like that of a daemon that was stopped an hour ago:
// all policies hold, all records are to be asked for again, and none of the
// policies is due to be fetched yet, or all are.
func fill(b *testing.B, policies int) (path string) {
	b.Helper()
	path = filepath.Join(b.TempDir(), "policies.db")
	f := bed.Filling{Policies: policies, Fetched: time.Now().Add(-time.Hour), Recheck: 5 * time.Minute, Due: bed.NotDue}
	if allDue() {
		f.Due = -bed.DueWithin
	}
	began := time.Now()
	if err := f.Make(path); err != nil {
		b.Fatal(err)
	}
	b.Logf("the file was made in %v", time.Since(began).Round(time.Second))
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
	go bed.DNS{PolicyHosts: netip.IPv4Unspecified(), MailHosts: netip.IPv4Unspecified(), Ledger: new(bed.Ledger)}.Serve(conn)
	return conn.LocalAddr().String()
}
