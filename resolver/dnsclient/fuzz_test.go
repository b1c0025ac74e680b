package dnsclient

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// FuzzJoinStrings: the text of a TXT record survives packing and unpacking, byte
// by byte.
func FuzzJoinStrings(f *testing.F) {
	for _, s := range []string{"v=STSv1; id=1;", `\`, `"`, `\065`, "\\\"\x00\xff", "", strings.Repeat("x\\", 300)} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, octets []byte) {
		const longest = 20_000 // more does not fit a message
		octets = octets[:min(len(octets), longest)]
		record := &dns.TXT{Hdr: dns.RR_Header{Name: "x.test.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}}
		wire := make([]byte, dns.MaxMsgSize)
		off, err := dns.PackRR(record, wire, 0, nil, false)
		if err != nil {
			t.Fatal(err)
		}
		// The strings are written by hand: the library would want escapes.
		data := off
		for part := range slices.Chunk(octets, 255) {
			wire[off] = byte(len(part))
			off += 1 + copy(wire[off+1:], part)
		}
		wire[data-2], wire[data-1] = byte((off-data)>>8), byte(off-data)
		rr, _, err := dns.UnpackRR(wire[:off], 0)
		if err != nil {
			t.Fatal(err)
		}
		if got := joinStrings(rr.(*dns.TXT).Txt); got != string(octets) {
			t.Errorf("%q became %q", octets, got)
		}
	})
}

// FuzzReply feeds whatever bytes a server may send to all that reads them: what
// is taken answers the question, and a message can be printed.
func FuzzReply(f *testing.F) {
	const asked, id = "x.test.", 1
	for _, lines := range [][]string{
		{},
		{`x.test. 300 IN TXT "v=STSv1; \000" "id=1;"`, `y.test. 300 IN TXT "other"`},
		{`x.test. 300 IN CNAME y.test.`, `y.test. 4294967295 IN TXT "y"`},
		{`x.test. 300 IN CNAME y.test.`, `y.test. 300 IN CNAME x.test.`},
		{`x.test. 300 IN MX 10 mx.test.`, `x.test. 300 IN A 192.0.2.1`, `x.test. 300 IN AAAA 2001:db8::1`},
		{`x.test. 300 IN TLSA 3 1 1 00ff`, `x.test. 300 IN SOA ns.test. host.test. 1 2 3 4 5`},
	} {
		for _, rcode := range []int{dns.RcodeSuccess, dns.RcodeNameError, dns.RcodeBadVers} {
			reply := new(dns.Msg).SetRcode(received(f, mustQuery(f, asked, dns.TypeTXT), id), rcode)
			reply.SetEdns0(udpSize, false)
			for _, line := range append(lines, `test. 300 IN SOA ns.test. host.test. 1 2 3 4 5`) {
				rr, err := dns.NewRR(line)
				if err != nil {
					f.Fatal(err)
				}
				if rr.Header().Rrtype == dns.TypeSOA {
					reply.Ns = append(reply.Ns, rr)
				} else {
					reply.Answer = append(reply.Answer, rr)
				}
			}
			packed, err := reply.Pack()
			if err != nil {
				f.Fatal(err)
			}
			f.Add(packed)
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, qtype := range []uint16{dns.TypeTXT, dns.TypeMX, dns.TypeA, dns.TypeAAAA, dns.TypeCNAME, dns.TypeTLSA, dns.TypeSOA} {
			reply, err := parseReply(data, mustQuery(t, asked, qtype), id)
			if err == nil {
				err = inconclusive(reply)
			}
			if err != nil {
				checkPrintable(t, err)
				continue
			}
			if reply.Truncated || refusesEDNS(reply) {
				continue
			}
			found := newFinding(asked)
			if err := found.add(reply, qtype, true); err != nil {
				checkPrintable(t, err)
				continue
			}
			if len(found.names) > maxNames || len(slices.Compact(slices.Sorted(slices.Values(found.names)))) != len(found.names) {
				t.Errorf("chain %q", found.names)
			}
			for _, rr := range found.records {
				h := rr.Header()
				if !strings.EqualFold(h.Name, found.end()) || h.Rrtype != qtype || h.Class != dns.ClassINET {
					t.Errorf("record %v at the end of %q", rr, found.names)
				}
				convert(t, rr)
			}
			if found.ttl < 0 || found.ttl > (1<<31-1)*time.Second || !found.hasTTL && found.ttl != 0 {
				t.Errorf("TTL %v, HasTTL %v", found.ttl, found.hasTTL)
			}
			if len(found.records) > 0 && (!found.done || !found.hasTTL) {
				t.Errorf("records, but %+v", found)
			}
			if !found.done && len(found.names) == 1 {
				t.Error("the same question would be asked again")
			}
		}
	})
}

func checkPrintable(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); len(text) > 300 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
		t.Errorf("message %q", text)
	}
}

// convert makes of a record what lookup makes of it.
func convert(t *testing.T, rr dns.RR) {
	t.Helper()
	switch rr := rr.(type) {
	case *dns.TXT:
		txtRecord(rr)
	case *dns.MX:
		mxRecord(rr)
	case *dns.A:
		if !ipv4(rr).Is4() {
			t.Errorf("A record %v", rr)
		}
	case *dns.AAAA:
		if !ipv6(rr).Is6() {
			t.Errorf("AAAA record %v", rr)
		}
	case *dns.TLSA:
		if got := tlsaRecord(rr); len(got.Data) != max(int(rr.Hdr.Rdlength)-3, 0) {
			t.Errorf("data of %v: %x", rr, got.Data)
		}
	case *dns.CNAME, *dns.SOA:
	default:
		t.Errorf("%T", rr)
	}
}
