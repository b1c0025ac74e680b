package dnsclient_test

import (
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

// TestQuery looks at what goes over the wire.
func TestQuery(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	var mu sync.Mutex
	var queries []*dns.Msg
	server.Misbehave("x.test", func(x *resolvertest.DNSExchange) {
		mu.Lock()
		defer mu.Unlock()
		queries = append(queries, x.Query)
		x.Send()
	})
	client := newClient(server)
	const n = 20
	for range n {
		if _, err := client.TXT(t.Context(), "x.test"); err != nil {
			t.Fatal(err)
		}
	}
	mu.Lock()
	defer mu.Unlock()
	ids := make(map[uint16]bool)
	for _, q := range queries {
		ids[q.Id] = true
		if q.Response || q.Opcode != dns.OpcodeQuery || !q.RecursionDesired || !q.AuthenticatedData || q.CheckingDisabled {
			t.Errorf("header %+v", q.MsgHdr)
		}
		if opt := q.IsEdns0(); opt == nil || opt.UDPSize() != 1232 || opt.Version() != 0 || opt.Do() {
			t.Errorf("EDNS %v", opt)
		}
	}
	// Twenty random numbers of 16 bits: that half of them are alike happens to
	// nobody.
	if len(queries) != n || len(ids) <= n/2 {
		t.Errorf("%d queries with %d ids", len(queries), len(ids))
	}
}

// TestOddServers: servers with unusual behaviour, and lookups that still succeed.
func TestOddServers(t *testing.T) {
	t.Parallel()
	rcodeToEDNS := func(rcode int) resolvertest.DNSFault {
		return func(x *resolvertest.DNSExchange) {
			if x.Query.IsEdns0() != nil {
				x.Reply.Answer = nil
				x.Reply.Rcode = rcode
			}
			x.Send()
		}
	}
	for title, fault := range map[string]resolvertest.DNSFault{
		"truncated":        resolvertest.DNSTruncated,
		"huge":             resolvertest.DNSHuge,
		"spoofed":          resolvertest.DNSSpoofed,
		"FORMERR to EDNS":  resolvertest.DNSWithoutEDNS,
		"NOTIMP to EDNS":   rcodeToEDNS(dns.RcodeNotImplemented),
		"BADVERS to EDNS":  rcodeToEDNS(dns.RcodeBadVers),
		"slow":             resolvertest.DNSDelay(50 * time.Millisecond),
		"capitals in name": capitals,
		"FORMERR without question": func(x *resolvertest.DNSExchange) {
			if x.Query.IsEdns0() != nil {
				x.Reply.Question, x.Reply.Answer = nil, nil
				x.Reply.Rcode = dns.RcodeFormatError
			}
			x.Send()
		},
		"truncated amid a record": func(x *resolvertest.DNSExchange) {
			if x.TCP() {
				x.Send()
				return
			}
			x.Reply.Truncated = true
			x.SendBytes(cut(x, 15))
		},
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Add(`x.test. 300 IN TXT "right"`)
			server.Misbehave("x.test", fault)
			got, err := newClient(server).TXT(t.Context(), "x.test")
			if err != nil || len(got.Records) == 0 || got.Records[0] != "right" {
				t.Errorf("got %.10v, error %v", got.Records, err)
			}
		})
	}
}

// capitals is a server that writes names its own way.
func capitals(x *resolvertest.DNSExchange) {
	x.Reply.Question[0].Name = strings.ToUpper(x.Reply.Question[0].Name)
	for i, rr := range x.Reply.Answer {
		x.Reply.Answer[i] = dns.Copy(rr)
		x.Reply.Answer[i].Header().Name = strings.ToUpper(rr.Header().Name)
	}
	x.Send()
}

// TestFailures: lookups that fail. The error gives the reason of each server.
func TestFailures(t *testing.T) {
	t.Parallel()
	overTCP := func(fault resolvertest.DNSFault) resolvertest.DNSFault {
		return func(x *resolvertest.DNSExchange) {
			if x.TCP() {
				fault(x)
				return
			}
			resolvertest.DNSTruncated(x)
		}
	}
	const silent = "no answer within 300ms"
	for _, tt := range []struct {
		title string
		fault resolvertest.DNSFault
		want  string
	}{
		{"SERVFAIL", resolvertest.DNSRcode(dns.RcodeServerFailure), "SERVFAIL"},
		{"REFUSED", resolvertest.DNSRcode(dns.RcodeRefused), "REFUSED"},
		{"FORMERR", resolvertest.DNSRcode(dns.RcodeFormatError), "FORMERR"},
		{"extended rcode", resolvertest.DNSRcode(3841), "RCODE 3841"},
		{"rcode without question", func(x *resolvertest.DNSExchange) {
			x.Reply.Question = nil
			resolvertest.DNSRcode(dns.RcodeRefused)(x)
		}, "REFUSED"},
		{"referral", func(x *resolvertest.DNSExchange) {
			x.Reply.RecursionAvailable = false
			x.Reply.Rcode, x.Reply.Answer = dns.RcodeSuccess, nil
			x.Reply.Ns = []dns.RR{&dns.NS{Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeNS, Class: dns.ClassINET}, Ns: "ns.test."}}
			x.Send()
		}, "no recursion: the server refers to others"},
		{"silent", resolvertest.DNSSilent, silent},
		{"silent over TCP", overTCP(resolvertest.DNSSilent), silent},
		{"too slow", resolvertest.DNSDelay(time.Minute), silent},
		{"wrong id", resolvertest.DNSWrongID, silent},
		{"wrong question", resolvertest.DNSWrongQuestion, silent},
		{"wrong type", func(x *resolvertest.DNSExchange) {
			x.Reply.Question[0].Qtype = dns.TypeA
			x.Send()
		}, silent},
		{"wrong class", func(x *resolvertest.DNSExchange) {
			x.Reply.Question[0].Qclass = dns.ClassCHAOS
			x.Send()
		}, silent},
		{"two questions", func(x *resolvertest.DNSExchange) {
			x.Reply.Question = append(x.Reply.Question, x.Reply.Question[0])
			x.Send()
		}, silent},
		{"no question", func(x *resolvertest.DNSExchange) {
			x.Reply.Question = nil
			x.Send()
		}, silent},
		{"wrong opcode", func(x *resolvertest.DNSExchange) {
			x.Reply.Opcode = dns.OpcodeNotify
			x.Send()
		}, silent},
		{"garbage", resolvertest.DNSGarbage, silent},
		{"cut short", func(x *resolvertest.DNSExchange) { x.SendBytes(cut(x, 20)) }, silent},
		{"cut after the question", func(x *resolvertest.DNSExchange) {
			x.Reply.Extra = nil
			x.SendBytes(cut(x, dns.Len(x.Reply.Answer[0])))
		}, silent},
		{"wrong id over TCP", overTCP(resolvertest.DNSWrongID), "the reply belongs to another question"},
		{"wrong question over TCP", overTCP(resolvertest.DNSWrongQuestion), "the reply belongs to another question"},
		{"garbage over TCP", overTCP(resolvertest.DNSGarbage), "malformed reply: "},
		{"truncated over TCP", overTCP(func(x *resolvertest.DNSExchange) {
			x.Reply.Truncated = true
			x.Send()
		}), "the reply is truncated, over TCP too"},
		{"closed over TCP", overTCP(func(x *resolvertest.DNSExchange) { x.Close() }), "TCP connection closed before the whole reply"},
		{"no data in the record", func(x *resolvertest.DNSExchange) {
			x.Reply.Answer = []dns.RR{&dns.ANY{Hdr: dns.RR_Header{Name: "x.test.", Rrtype: dns.TypeTXT, Class: dns.ClassINET}}}
			x.Send()
		}, "TXT x.test: a TXT record without data"},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Add(`x.test. 300 IN TXT "right"`)
			server.Misbehave("x.test", tt.fault)
			client := dnsclient.New(dnsclient.Options{
				Servers: []netip.AddrPort{server.Addr()},
				Timeout: 300 * time.Millisecond,
			})
			got, err := client.TXT(t.Context(), "x.test")
			if err == nil {
				t.Fatalf("got %v", got)
			}
			want := tt.want
			if !strings.HasPrefix(want, "TXT ") {
				want = "TXT x.test: " + server.Addr().String() + ": " + want
			}
			if !strings.HasPrefix(err.Error(), want) {
				t.Errorf("error %q; want %q", err, want)
			}
		})
	}
}

// cut returns the reply without its last n bytes.
func cut(x *resolvertest.DNSExchange, n int) []byte {
	packed, err := x.Reply.Pack()
	if err != nil {
		panic(err)
	}
	return packed[:len(packed)-n]
}
