package dnsclient

import (
	"bytes"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// askNamed returns a client of the server that is called resolver.test, whose
// name is looked up in directory, and its log.
func askNamed(directory *resolvertest.DNS, at netip.AddrPort) (*Client, *bytes.Buffer) {
	log := new(bytes.Buffer)
	c := New(Options{Timeout: 10 * time.Second})
	c.servers = servers{named: &named{
		servers: []Named{{Host: "resolver.test", Port: at.Port()}},
		dns:     New(Options{Servers: []netip.AddrPort{directory.Addr()}}),
		logger:  slog.New(slog.NewTextHandler(log, nil)),
	}}
	c.servers.named.lookUpAgain()
	return c, log
}

// TestNamed takes a server that is known by its name through its life.
func TestNamed(t *testing.T) {
	t.Parallel()
	directory := resolvertest.StartDNS(t)
	first := resolvertest.StartDNS(t)
	second := resolvertest.StartDNSAt(t, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), first.Addr().Port()).String())
	for _, s := range []*resolvertest.DNS{first, second} {
		s.Add(`x.test. 300 IN TXT "x"`)
	}
	c, log := askNamed(directory, first.Addr())
	if got, err := c.TXT(t.Context(), "x.test"); err == nil || !strings.Contains(err.Error(), "resolver.test has no address") {
		t.Errorf("no such name: got %v, error %v", got, err)
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings; want 1\n%s", n, log)
	}
	if c.TrustsAD() {
		t.Error("no server, but AD counts")
	}

	directory.Add("resolver.test. 300 IN A 127.0.0.1")
	eventually(t, func() bool { a, err := c.TXT(t.Context(), "x.test"); return err == nil && len(a.Records) == 1 })
	if !c.TrustsAD() {
		t.Error("a server on this host, but AD does not count")
	}

	// It moves to another address.
	directory.Remove("resolver.test", dns.TypeA)
	directory.Add("resolver.test. 300 IN A 127.0.0.2")
	before := second.Queries("x.test", dns.TypeTXT)
	first.Misbehave("x.test", resolvertest.DNSSilent)
	c.timeout = 200 * time.Millisecond
	eventually(t, func() bool { a, err := c.TXT(t.Context(), "x.test"); return err == nil && len(a.Records) == 1 })
	if second.Queries("x.test", dns.TypeTXT) == before {
		t.Error("the server at the new address was not asked")
	}
	if n := strings.Count(log.String(), "level=WARN"); n != 1 {
		t.Errorf("%d warnings; want 1\n%s", n, log)
	}
}

// eventually waits until a condition holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	for !holds() {
		if t.Context().Err() != nil {
			t.Fatal("it never came")
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestNamedBeside: servers with an address are asked while a name has none, which
// is looked up again now and then.
func TestNamedBeside(t *testing.T) {
	t.Parallel()
	directory, server := resolvertest.StartDNS(t), resolvertest.StartDNS(t)
	server.Add(`x.test. 300 IN TXT "x"`)
	c, _ := askNamed(directory, server.Addr())
	c.servers.fixed = []netip.AddrPort{server.Addr()}
	if got, err := c.TXT(t.Context(), "x.test"); err != nil || len(got.Records) != 1 {
		t.Errorf("got %v, error %v", got, err)
	}
	directory.Add("resolver.test. 300 IN A 127.0.0.2")
	eventually(t, func() bool { return len(c.servers.inForce(time.Now()).addrs) == 2 })
}

// The addresses of a name that cannot be looked up any more stay in use next to those of
// another name.
func TestNamedLost(t *testing.T) {
	t.Parallel()
	directory, server := resolvertest.StartDNS(t), resolvertest.StartDNS(t)
	directory.Add("a.test. 300 IN A 127.0.0.1", "b.test. 300 IN A 127.0.0.2")
	n := &named{
		servers: []Named{{"a.test", server.Addr().Port()}, {"b.test", server.Addr().Port()}},
		dns:     New(Options{Servers: []netip.AddrPort{directory.Addr()}}),
		logger:  slog.New(slog.DiscardHandler),
	}
	want := []netip.AddrPort{
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), server.Addr().Port()),
		netip.AddrPortFrom(netip.MustParseAddr("127.0.0.2"), server.Addr().Port()),
	}
	for _, b := range []string{"found", "lost"} {
		if b == "lost" {
			directory.Misbehave("b.test", resolvertest.DNSRcode(dns.RcodeServerFailure))
		}
		n.looking = make(chan struct{})
		n.lookUp()
		if got := n.addrs(); !slices.Equal(got, want) || (n.err != nil) != (b == "lost") {
			t.Errorf("b.test is %s: %v, error %v; want %v", b, got, n.err, want)
		}
	}
}

// If the question for the addresses of one family fails, those known of it stay in use until
// an answer has others or none.
func TestNamedFamily(t *testing.T) {
	t.Parallel()
	fails := resolvertest.DNSRcode(dns.RcodeServerFailure)
	for _, check := range []struct {
		name  string
		lost  uint16 // the type of the question that fails
		how   resolvertest.DNSFault
		moved string // the record of the other family meanwhile
		kept  []string
		after []string // once the question is answered: no such record
	}{
		{"AAAA fails", dns.TypeAAAA, fails, "resolver.test. 300 IN A 192.0.2.2", []string{"192.0.2.2", "2001:db8::1"}, []string{"192.0.2.2"}},
		{"AAAA is silent", dns.TypeAAAA, resolvertest.DNSSilent, "resolver.test. 300 IN A 192.0.2.2", []string{"192.0.2.2", "2001:db8::1"}, []string{"192.0.2.2"}},
		{"A fails", dns.TypeA, fails, "resolver.test. 300 IN AAAA 2001:db8::2", []string{"192.0.2.1", "2001:db8::2"}, []string{"2001:db8::2"}},
	} {
		t.Run(check.name, func(t *testing.T) {
			t.Parallel()
			directory := resolvertest.StartDNS(t)
			directory.Add("resolver.test. 300 IN A 192.0.2.1", "resolver.test. 300 IN AAAA 2001:db8::1")
			n := &named{servers: []Named{{"resolver.test", 53}}, logger: slog.New(slog.DiscardHandler),
				dns: New(Options{Servers: []netip.AddrPort{directory.Addr()}})}
			expect := func(when string, want ...string) {
				t.Helper()
				n.looking = make(chan struct{})
				n.lookUp()
				var got []string
				for _, at := range n.addrs() {
					got = append(got, at.Addr().String())
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: %v, want %v", when, got, want)
				}
			}
			expect("at first", "192.0.2.1", "2001:db8::1")
			other := dns.TypeA + dns.TypeAAAA - check.lost
			directory.Remove("resolver.test", other)
			directory.Add(check.moved)
			directory.Misbehave("resolver.test", func(x *resolvertest.DNSExchange) {
				if x.Query.Question[0].Qtype == check.lost {
					check.how(x)
					return
				}
				x.Send()
			})
			expect("failing", check.kept...)
			directory.Misbehave("resolver.test", nil)
			directory.Remove("resolver.test", check.lost)
			expect("answered", check.after...)
		})
	}
}
