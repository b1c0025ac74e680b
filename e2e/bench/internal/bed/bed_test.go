package bed

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"net/smtp"
	"path/filepath"
	"testing"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

var (
	loopback = netip.MustParseAddr("127.0.0.1")
	mailHost = netip.MustParseAddr("127.0.1.1")
)

func startDNS(t *testing.T, l *Ledger) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: loopback.AsSlice()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go DNS{loopback, mailHost, l}.Serve(conn)
	return conn.LocalAddr().(*net.UDPAddr).AddrPort()
}

// startBed starts the bed with the hosts of so many domains.
func startBed(t *testing.T, domains uint32, ledger *Ledger) Bare {
	t.Helper()
	hosts, err := NewHosts(domains, ledger)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go hosts.Serve(l)
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(hosts.PEM()) {
		t.Fatal("no certificate in the PEM file")
	}
	return Bare{DNS: startDNS(t, ledger), HTTPSPort: uint16(l.Addr().(*net.TCPAddr).Port), Roots: roots, Concurrency: 4}
}

func TestBare(t *testing.T) {
	t.Parallel()
	bare := startBed(t, 10, new(Ledger))
	if err := bare.Policies(0, 10); err != nil {
		t.Error(err)
	}
	if err := bare.Policies(9, 11); err == nil {
		t.Error("a host that is not there has served a policy")
	}
	if err := bare.Absences(0, 10); err != nil {
		t.Error(err)
	}
}

// The bed's answers, read with the daemon's own client.
func TestDNS(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	client := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{startDNS(t, new(Ledger))}})
	domain, absent := Domain(1), string(AppendAbsent(nil, 1))

	txt, err := client.TXT(ctx, "_mta-sts."+domain)
	if err != nil || len(txt.Records) != 1 || txt.Records[0] != Record {
		t.Errorf("TXT: %v, %v", txt, err)
	}
	if txt, err = client.TXT(ctx, "_mta-sts."+absent); err != nil || len(txt.Records) != 0 || txt.TTL != longTTL*time.Second {
		t.Errorf("no TXT: %v, %v", txt, err)
	}
	for _, name := range []string{domain, absent} {
		mx, err := client.MX(ctx, name)
		if err != nil || len(mx.Records) != 1 || mx.Records[0].Host != "mx1."+name || !mx.Authenticated {
			t.Errorf("MX: %v, %v", mx, err)
		}
	}
	for name, want := range map[string]netip.Addr{"mta-sts." + domain: loopback, "mx1." + domain: mailHost, "mx1." + absent: mailHost} {
		addrs, err := client.Addresses(ctx, name)
		if err != nil || len(addrs.Records) != 1 || addrs.Records[0] != want {
			t.Errorf("addresses of %s: %v, %v", name, addrs, err)
		}
	}
	tlsa, err := client.TLSA(ctx, "_25._tcp.mx1."+domain)
	if err != nil || len(tlsa.Records) != 0 || !tlsa.Authenticated {
		t.Errorf("TLSA: %v, %v", tlsa, err)
	}
}

func TestFill(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "policies.db")
	if err := Fill(path, 100, time.Now(), time.Hour); err != nil {
		t.Fatal(err)
	}
	st, err := store.Open(path, clock.System(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	domain, err := mtasts.ParseDomain(Domain(99))
	if err != nil {
		t.Fatal(err)
	}
	if e, ok := st.Get(domain); !ok || e.Policy.Text != Policy(domain.String()) {
		t.Errorf("stored: %v, %+v", ok, e)
	}
}

// A ledger counts what it is asked, ends TTLs and renews policies.
func TestLedger(t *testing.T) {
	t.Parallel()
	var l Ledger
	bare := startBed(t, 2, &l)
	if err := bare.Policies(0, 2); err != nil {
		t.Fatal(err)
	}
	if err := bare.Absences(0, 3); err != nil {
		t.Fatal(err)
	}
	// Each policy needs its record, and the address of its host.
	if l.Records.Load() != 2 || l.Others.Load() != 2 || l.Absences.Load() != 3 || l.Fetches.Load() != 2 {
		t.Errorf("2 policies and 3 absences: %d, %d and %d questions, %d fetches",
			l.Records.Load(), l.Others.Load(), l.Absences.Load(), l.Fetches.Load())
	}
	client := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{bare.DNS}})
	wantRecord := func(n uint32, record string, least, most time.Duration) {
		t.Helper()
		txt, err := client.TXT(t.Context(), "_mta-sts."+Domain(n))
		if err != nil || len(txt.Records) != 1 || txt.Records[0] != record || txt.TTL < least || txt.TTL > most {
			t.Errorf("%s: %v, %v; want %q, %v to %v", Domain(n), txt, err, record, least, most)
		}
	}
	wantRecord(0, Record, longTTL*time.Second, longTTL*time.Second)
	l.ExpireAt(time.Now().Add(time.Minute))
	wantRecord(0, Record, time.Second, time.Minute)
	l.ExpireAt(time.Now())
	wantRecord(0, Record, 0, 0)
	l.ExpireLate()
	l.Renew(map[string]bool{Domain(1): true})
	wantRecord(0, Record, longTTL*time.Second, longTTL*time.Second)
	wantRecord(1, renewedRecord, longTTL*time.Second, longTTL*time.Second)
	if err := bare.Policies(0, 1); err != nil {
		t.Error(err)
	}
	if err := bare.Policies(1, 2); err == nil {
		t.Error("the policy is the old one")
	}
}

// Mail that Go's own client sends with STARTTLS, twice in a connection.
func TestServeMail(t *testing.T) {
	t.Parallel()
	hosts, err := NewHosts(1, new(Ledger))
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go hosts.ServeMail(l)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(hosts.PEM())
	client, err := smtp.Dial(l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.StartTLS(&tls.Config{ServerName: "mx1." + Domain(0), RootCAs: roots}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := sendTo(client, "user@"+Domain(0)); err != nil {
			t.Error(err)
		}
	}
	if again, _ := client.Extension("STARTTLS"); again {
		t.Error("STARTTLS is offered inside of TLS")
	}
	if err := client.Quit(); err != nil {
		t.Error(err)
	}
}

func sendTo(client *smtp.Client, recipient string) error {
	if err := errors.Join(client.Mail("sender@client.test"), client.Rcpt(recipient)); err != nil {
		return err
	}
	w, err := client.Data()
	if err != nil {
		return err
	}
	_, err = io.WriteString(w, "Subject: test\r\n\r\n.A line with a dot.\r\n")
	return errors.Join(err, w.Close())
}
