package dnsclient

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// A reply that is correct except for its sender is ignored (RFC 5452 section
// 9.1), from another port of the server as well as from its port at another
// address.
func TestReplyFromElsewhere(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(`x.test. 300 IN TXT "right"`)
	elsewhere := []string{"127.0.0.1:0", fmt.Sprintf("127.0.0.2:%d", server.Addr().Port())}
	server.Misbehave("x.test", func(x *resolvertest.DNSExchange) {
		forged := x.Reply.Copy()
		forged.Answer[0].(*dns.TXT).Txt[0] = "forged"
		packed, err := forged.Pack()
		if err != nil {
			t.Error(err)
		}
		for _, from := range elsewhere {
			conn, err := net.ListenPacket("udp", from)
			if err != nil {
				t.Error(err)
				continue
			}
			conn.WriteTo(packed, x.Client())
			conn.Close()
		}
		x.Send()
	})
	got, err := New(Options{Servers: []netip.AddrPort{server.Addr()}}).TXT(t.Context(), "x.test")
	if err != nil || len(got.Records) != 1 || got.Records[0] != "right" {
		t.Errorf("%q, error %v", got.Records, err)
	}
}

// The longest messages, filled with the records that need the most memory, need a
// limited amount of it. Not parallel: it counts allocations.
func TestEnormousReplies(t *testing.T) {
	const asked, id, most = "x.test.", 1, 16 << 20
	octets := strings.Repeat(strings.Repeat(`\255`, 60)+".", 4) // the longest to write down
	for _, tt := range []struct {
		line    string // with a number, so that no two are alike
		qtype   uint16
		records int // at least
	}{
		{`x.test. 300 IN TXT "%d` + strings.Repeat(`\255`, 240) + `"`, dns.TypeTXT, 200},
		{`x.test. 300 IN TXT "%d"`, dns.TypeTXT, 3000},
		{`x.test. 300 IN MX %d ` + octets, dns.TypeMX, 3000},
		{`x.test. 300 IN TLSA 3 1 1 %08d`, dns.TypeTLSA, 3000},
		{octets + ` 300 IN MX %d ` + octets, dns.TypeMX, 0}, // of another name
	} {
		q := mustQuery(t, asked, tt.qtype)
		packed := fill(t, received(t, q, id), tt.line)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		found := read(t, packed, q, id)
		runtime.ReadMemStats(&after)
		if n := len(found.records); n < tt.records {
			t.Errorf("%.40s: %d records", tt.line, n)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > most {
			t.Errorf("%.40s: %d octets take %d of memory", tt.line, len(packed), took)
		}
	}
}

// fill makes the reply to query that holds as many of the records as a message
// has room for.
func fill(t *testing.T, query *dns.Msg, line string) []byte {
	t.Helper()
	head, err := new(dns.Msg).SetReply(query).Pack()
	if err != nil {
		t.Fatal(err)
	}
	wire := make([]byte, dns.MaxMsgSize)
	end, known := copy(wire, head), map[string]int{}
	for i := 0; ; i++ {
		rr, err := dns.NewRR(fmt.Sprintf(line, i))
		if err != nil {
			t.Fatal(err)
		}
		next, err := dns.PackRR(rr, wire, end, known, true)
		if err != nil { // the message is full
			const answers = 6 // RFC 1035 section 4.1.1
			binary.BigEndian.PutUint16(wire[answers:], uint16(i))
			return wire[:end]
		}
		end = next
	}
}

// read processes a reply as a lookup does.
func read(t *testing.T, packed []byte, q query, id uint16) *finding {
	t.Helper()
	reply, err := parseReply(packed, q, id)
	if err != nil {
		t.Fatal(err)
	}
	found := newFinding(q.name)
	if err := found.add(reply, q.qtype, true); err != nil {
		t.Fatal(err)
	}
	for _, rr := range found.records {
		convert(t, rr)
	}
	return found
}
