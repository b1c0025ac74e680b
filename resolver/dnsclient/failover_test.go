package dnsclient_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/resolvertest"
)

// closedPort is an address where nobody listens, as the kernel says at once.
func closedPort(t *testing.T) netip.AddrPort {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	return netip.MustParseAddrPort(conn.LocalAddr().String())
}

// TestFailover: servers before the last fail, each in one way; the last answers.
func TestFailover(t *testing.T) {
	t.Parallel()
	for title, fault := range map[string]resolvertest.DNSFault{
		"SERVFAIL":        resolvertest.DNSRcode(dns.RcodeServerFailure),
		"REFUSED":         resolvertest.DNSRcode(dns.RcodeRefused),
		"silent":          resolvertest.DNSSilent,
		"garbage":         resolvertest.DNSGarbage,
		"garbage in TCP":  tcpGarbage,
		"the wrong reply": resolvertest.DNSWrongQuestion,
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			bad1, bad2, good := resolvertest.StartDNS(t), resolvertest.StartDNS(t), resolvertest.StartDNS(t)
			bad1.Misbehave(resolvertest.EveryName, fault)
			bad2.Misbehave(resolvertest.EveryName, fault)
			good.Add(`x.test. 300 IN TXT "good"`, `x.test. 300 IN A 192.0.2.1`)
			client := dnsclient.New(dnsclient.Options{
				Servers: []netip.AddrPort{bad1.Addr(), closedPort(t), bad2.Addr(), good.Addr()},
				Timeout: time.Second, // so short that a second each would be too long
			})
			got, err := client.TXT(t.Context(), "x.test")
			if err != nil || len(got.Records) != 1 {
				t.Fatalf("got %v, error %v", got, err)
			}
			// From now on the good server comes first.
			n := bad1.Queries("x.test", dns.TypeA)
			if got, err := client.Addresses(t.Context(), "x.test"); err != nil || len(got.Records) != 1 {
				t.Errorf("got %v, error %v", got, err)
			}
			if after := bad1.Queries("x.test", dns.TypeA); after != n {
				t.Error("the server that failed was asked first again")
			}
		})
	}
}

func tcpGarbage(x *resolvertest.DNSExchange) {
	if x.TCP() {
		resolvertest.DNSGarbage(x)
		return
	}
	resolvertest.DNSTruncated(x)
}

// TestConclusive: an absence is an answer; no other server is asked.
func TestConclusive(t *testing.T) {
	t.Parallel()
	first, second := resolvertest.StartDNS(t), resolvertest.StartDNS(t)
	second.Add(`x.test. 300 IN TXT "another view"`)
	got, err := newClient(first, second).TXT(t.Context(), "x.test")
	if err != nil || len(got.Records) != 0 {
		t.Errorf("got %v, error %v", got, err)
	}
	if n := second.Queries("x.test", dns.TypeTXT); n != 0 {
		t.Errorf("the second server was asked %d times", n)
	}
}

// TestSecondTry: the first packet to the only server is lost.
func TestSecondTry(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	server.Add(`x.test. 300 IN TXT "x"`)
	server.Misbehave("x.test", func(x *resolvertest.DNSExchange) {
		if server.Queries("x.test", dns.TypeTXT) > 1 {
			x.Send()
		}
	})
	client := dnsclient.New(dnsclient.Options{
		Servers: []netip.AddrPort{server.Addr()},
		Timeout: time.Second,
	})
	if got, err := client.TXT(t.Context(), "x.test"); err != nil || len(got.Records) != 1 {
		t.Errorf("got %v, error %v", got, err)
	}
}

// TestTriesAreBounded: a question that nobody can answer costs two queries a
// server.
func TestTriesAreBounded(t *testing.T) {
	t.Parallel()
	servers := []*resolvertest.DNS{resolvertest.StartDNS(t), resolvertest.StartDNS(t)}
	for _, s := range servers {
		s.Misbehave("x.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	}
	if got, err := newClient(servers...).TXT(t.Context(), "x.test"); err == nil {
		t.Errorf("got %v", got)
	}
	for i, s := range servers {
		if n := s.Queries("x.test", dns.TypeTXT); n != 2 {
			t.Errorf("server %d was asked %d times", i, n)
		}
	}
}

func TestErrorNamesEveryServer(t *testing.T) {
	t.Parallel()
	failing, silent, closed := resolvertest.StartDNS(t), resolvertest.StartDNS(t), closedPort(t)
	failing.Misbehave("x.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
	silent.Misbehave("x.test", resolvertest.DNSSilent)
	client := dnsclient.New(dnsclient.Options{
		Servers: []netip.AddrPort{failing.Addr(), silent.Addr(), closed},
		Timeout: 300 * time.Millisecond,
	})
	_, err := client.MX(t.Context(), "x.test")
	want := "MX x.test: " + failing.Addr().String() + ": SERVFAIL; " +
		silent.Addr().String() + ": no answer within 300ms; " +
		closed.String() + ": read: connection refused"
	var failure *dnsclient.Error
	if !errors.As(err, &failure) || err.Error() != want {
		t.Fatalf("error %q; want %q", err, want)
	}
	if failure.Name != "x.test" || failure.Type != "MX" {
		t.Errorf("error about %s %s", failure.Type, failure.Name)
	}
}

// TestCallerGivesUp: no server is blamed, and nothing is waited for.
func TestCallerGivesUp(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	for title, fault := range map[string]resolvertest.DNSFault{
		"UDP": resolvertest.DNSSilent,
		"TCP": silentTCP,
	} {
		ctx, cancel := context.WithCancel(t.Context())
		server.Misbehave("x.test", func(x *resolvertest.DNSExchange) {
			fault(x)
			cancel()
		})
		_, err := dnsclient.New(dnsclient.Options{
			Servers: []netip.AddrPort{server.Addr()},
			Timeout: time.Hour,
		}).TXT(ctx, "x.test")
		if !errors.Is(err, context.Canceled) || err.Error() != "TXT x.test: context canceled" {
			t.Errorf("%s: error %v", title, err)
		}
	}
}

// TestNothingLeftBehind: the attempts that lost end with the lookup. It runs
// before the parallel tests, whose goroutines would look the same.
func TestNothingLeftBehind(t *testing.T) {
	silent, good := resolvertest.StartDNS(t), resolvertest.StartDNS(t)
	good.Add(`x.test. 300 IN TXT "good"`)
	client := dnsclient.New(dnsclient.Options{
		Servers: []netip.AddrPort{silent.Addr(), good.Addr()},
		Timeout: time.Second,
	})
	for title, fault := range map[string]resolvertest.DNSFault{
		"UDP": resolvertest.DNSSilent,
		"TCP": silentTCP,
	} {
		silent.Misbehave("x.test", fault)
		good.Misbehave("x.test", nil)
		if _, err := client.TXT(t.Context(), "x.test"); err != nil {
			t.Fatalf("%s: %v", title, err)
		}
		good.Misbehave("x.test", fault)
		if got, err := client.TXT(t.Context(), "x.test"); err == nil {
			t.Fatalf("%s: got %v", title, got)
		}
		const longEnough = 10 * time.Second
		var left string
		for end := time.Now().Add(longEnough); time.Now().Before(end); runtime.Gosched() {
			stacks := make([]byte, 1<<20)
			left = string(stacks[:runtime.Stack(stacks, true)])
			if !strings.Contains(left, "dnsclient.(*exchange)") {
				left = ""
				break
			}
		}
		if left != "" {
			t.Errorf("%s: attempts still under way:\n%s", title, left)
		}
	}
}

// silentTCP sends the client to TCP and says nothing there.
func silentTCP(x *resolvertest.DNSExchange) {
	if !x.TCP() {
		resolvertest.DNSTruncated(x)
	}
}

func TestBadNames(t *testing.T) {
	t.Parallel()
	server := resolvertest.StartDNS(t)
	client := newClient(server)
	label := strings.Repeat("x", 63)
	longest := strings.Join([]string{label, label, label, label[:61]}, ".")
	if _, err := client.TXT(t.Context(), longest); err != nil {
		t.Errorf("255 bytes: %v", err)
	}
	const reason = ": not a name that the DNS can carry"
	for name, want := range map[string]string{
		longest + "x":             "TXT " + longest + "x" + reason,
		strings.Repeat("x.", 200): `TXT "` + strings.Repeat("x.", 32) + `"...` + reason,
		label + "x.test":          "TXT " + label + "x.test" + reason,
		"x..test":                 "TXT x..test" + reason,
		".x.test":                 "TXT .x.test" + reason,
		"ü\n..":                   `TXT "\u00fc\n.."` + reason,
	} {
		_, err := client.TXT(t.Context(), name)
		var failure *dnsclient.Error
		if !errors.As(err, &failure) || err.Error() != want {
			t.Errorf("%.20q: error %q; want %q", name, err, want)
		}
	}
}
