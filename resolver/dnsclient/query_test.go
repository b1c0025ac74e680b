package dnsclient

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/miekg/dns"
)

// A query has exactly the bytes that the DNS library packs for the same question.
func TestQueryOctets(t *testing.T) {
	t.Parallel()
	const id = 0xbeef
	label := strings.Repeat("x", 63)
	longest := strings.Join([]string{label, label, label, label[:61]}, ".") + "."
	for _, name := range []string{".", "x.", "_25._tcp.mx.example.com.", `\000\255\.y.test.`, longest} {
		for _, qtype := range askedTypes {
			q, err := newQuery(name, qtype)
			if err != nil {
				t.Fatalf("%q: %v", name, err)
			}
			want := &dns.Msg{
				MsgHdr:   dns.MsgHdr{Id: id, RecursionDesired: true, AuthenticatedData: true},
				Question: []dns.Question{{Name: name, Qtype: qtype, Qclass: dns.ClassINET}},
			}
			checkOctets(t, q.withoutEDNS(), want)
			want.SetEdns0(1232, qtype != dns.TypeTXT)
			checkOctets(t, q, want) // which is as it was
		}
	}
}

func checkOctets(t *testing.T, q query, want *dns.Msg) {
	t.Helper()
	packed, err := want.Pack()
	if err != nil {
		t.Fatal(err)
	}
	const before = "before"
	if got := q.appendTo([]byte(before), want.Id); !bytes.Equal(got, append([]byte(before), packed...)) {
		t.Errorf("%s %q:\ngot  %x\nwant %x after %x", dns.TypeToString[q.qtype], q.name, got, packed, before)
	}
}

func TestQueryBadNames(t *testing.T) {
	t.Parallel()
	label := strings.Repeat("x", 63)
	for _, name := range []string{
		strings.Join([]string{label, label, label, label[:62]}, ".") + ".", // 256 bytes
		label + "x.test.",
		"x..test.",
		".x.test.",
		"x.test", // nobody asks for a name of unknown end
	} {
		if q, err := newQuery(name, dns.TypeTXT); !errors.Is(err, errName) {
			t.Errorf("%.80q: octets %x, error %v; want errName", name, q.message, err)
		}
	}
}

// mustQuery is the query for a name that is one.
func mustQuery(tb testing.TB, name string, qtype uint16) query {
	tb.Helper()
	q, err := newQuery(name, qtype)
	if err != nil {
		tb.Fatal(err)
	}
	return q
}

// received is the query as a server reads it.
func received(tb testing.TB, q query, id uint16) *dns.Msg {
	tb.Helper()
	m := new(dns.Msg)
	if err := m.Unpack(q.appendTo(nil, id)); err != nil {
		tb.Fatal(err)
	}
	return m
}
