package far

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
)

// The resolver's answers, read with the daemon's own client.
func TestResolver(t *testing.T) {
	t.Parallel()
	r := NewResolver(0)
	records := []string{"%s. 60 IN MX 1 mx.%s.", "mx.%s. 60 IN A 192.0.2.1", "_25._tcp.mx.%s. 60 IN TLSA 3 1 1 00"}
	for name, d := range map[string]Domain{
		"signed.test":   {Records: records, Broken: []string{"mx.%s"}},
		"unsigned.test": {Records: records, Unsigned: true, Mute: []string{"mta-sts.%s"}},
	} {
		if err := r.Add(name, d); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Add("d.test", Domain{Records: []string{"no record"}}); err == nil {
		t.Error("no error for a malformed record")
	}
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	go r.Serve(conn)
	server := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	client := dnsclient.New(dnsclient.Options{Servers: []netip.AddrPort{server}})
	ctx := context.Background()
	for name, signed := range map[string]bool{"signed.test": true, "unsigned.test": false} {
		mx, err := client.MX(ctx, name)
		if err != nil || len(mx.Records) != 1 || mx.Records[0].Host != "mx."+name || mx.Authenticated != signed {
			t.Errorf("MX of %s: %+v, %v", name, mx, err)
		}
		tlsa, err := client.TLSA(ctx, "_25._tcp.mx."+name)
		if err != nil || len(tlsa.Records) != 1 || tlsa.Authenticated != signed {
			t.Errorf("TLSA of %s: %+v, %v", name, tlsa, err)
		}
		txt, err := client.TXT(ctx, "_mta-sts."+name)
		if err != nil || len(txt.Records) != 0 || !txt.NoName || !txt.HasTTL || txt.Authenticated != signed {
			t.Errorf("TXT of %s: %+v, %v", name, txt, err)
		}
		addresses, err := client.Addresses(ctx, "mx."+name)
		if err != nil || len(addresses.Records) != 1 {
			t.Errorf("addresses of mx.%s: %+v, %v", name, addresses, err)
		}
	}
	broken := r.reply(new(dns.Msg).SetQuestion("mx.signed.test.", dns.TypeAAAA))
	if broken.Rcode != dns.RcodeServerFailure {
		t.Errorf("a broken name: %v", broken)
	}
	if mute := r.reply(new(dns.Msg).SetQuestion("mta-sts.unsigned.test.", dns.TypeAAAA)); mute != nil {
		t.Errorf("a mute name: %v", mute)
	}
}

// writer is all of a dns.ResponseWriter that the resolver uses.
type writer struct {
	dns.ResponseWriter
	wrote time.Time
}

func (w *writer) WriteMsg(*dns.Msg) error {
	w.wrote = time.Now()
	return nil
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const roundTrip = 25 * time.Millisecond
		var w writer
		asked := time.Now()
		NewResolver(roundTrip).answer(&w, new(dns.Msg).SetQuestion("d.test.", dns.TypeA))
		if took := w.wrote.Sub(asked); took != roundTrip {
			t.Errorf("answered after %v", took)
		}
	})
}
