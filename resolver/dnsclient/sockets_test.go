package dnsclient

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/resolvertest"
)

// ports takes down where questions come from.
type ports struct {
	mu   sync.Mutex
	seen []string
}

// of lets fault answer, or the server itself if fault is nil, and records the
// port of the question.
func (p *ports) of(fault resolvertest.DNSFault) resolvertest.DNSFault {
	return func(x *resolvertest.DNSExchange) {
		p.mu.Lock()
		p.seen = append(p.seen, x.Client().String())
		p.mu.Unlock()
		if fault == nil {
			x.Send()
			return
		}
		fault(x)
	}
}

// different is how many ports there were so far.
func (p *ports) different() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen := make(map[string]bool)
	for _, port := range p.seen {
		seen[port] = true
	}
	return len(seen)
}

// A server on loopback is asked from one port as long as all goes well; any other
// from a random one for each question.
func TestPorts(t *testing.T) {
	t.Parallel()
	const questions = 20
	loopback := netip.MustParseAddr("127.0.0.1")
	for _, tt := range []struct {
		title       string
		server      netip.Addr
		fault       resolvertest.DNSFault // of the first question
		least, most int
	}{
		{"on loopback", loopback, nil, 1, 1},
		{"elsewhere", netip.IPv4Unspecified(), nil, questions/2 + 1, questions}, // the kernel takes it for this host
		{"a stray packet", loopback, resolvertest.DNSSpoofed, 2, 2},
		{"no reply to the first try", loopback, resolvertest.DNSSilent, 2, 2},
		{"a reply after a glance", loopback, resolvertest.DNSDelay(glance + glance/2), 1, 1},
		{"truncated", loopback, func(x *resolvertest.DNSExchange) {
			resolvertest.DNSTruncated(x) // the second port is that of TCP
		}, 2, 2},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Add(`x.test. 300 IN TXT "x"`, `y.test. 300 IN TXT "y"`)
			var seen ports
			server.Misbehave("y.test", seen.of(nil))
			server.Misbehave("x.test", seen.of(func(x *resolvertest.DNSExchange) {
				if tt.fault != nil && (seen.different() == 1 || x.TCP()) {
					tt.fault(x)
					return
				}
				x.Send()
			}))
			client := New(Options{Servers: []netip.AddrPort{netip.AddrPortFrom(tt.server, server.Addr().Port())}, Timeout: 2 * patience})
			for i := range questions {
				name := "y.test"
				if i == 0 {
					name = "x.test"
				}
				if got, err := client.TXT(t.Context(), name); err != nil || len(got.Records) != 1 {
					t.Fatalf("got %v, error %v", got, err)
				}
			}
			if n := seen.different(); n < tt.least || n > tt.most {
				t.Errorf("questions from %d ports, want %d to %d: %v", n, tt.least, tt.most, seen.seen)
			}
		})
	}
}

// A late reply to the previous question on the same socket is ignored, by another
// question with the same id as well as by the same question.
func TestLateReply(t *testing.T) {
	t.Parallel()
	for title, late := range map[string]func(before, now *dns.Msg){
		"another question with its id": func(before, now *dns.Msg) { before.Id = now.Id },
		"the same question":            func(before, now *dns.Msg) { before.Question = now.Question },
	} {
		t.Run(title, func(t *testing.T) {
			t.Parallel()
			server := resolvertest.StartDNS(t)
			server.Add(`x.test. 300 IN TXT "old"`, `y.test. 300 IN TXT "right"`)
			var seen ports
			var before *dns.Msg
			server.Misbehave("x.test", seen.of(func(x *resolvertest.DNSExchange) {
				before = x.Reply.Copy()
				x.Send()
			}))
			server.Misbehave("y.test", seen.of(func(x *resolvertest.DNSExchange) {
				if before != nil {
					late(before, x.Query)
					packed, err := before.Pack()
					if err != nil {
						t.Error(err)
					}
					x.SendBytes(packed)
					before = nil
				}
				x.Send()
			}))
			client := New(Options{Servers: []netip.AddrPort{server.Addr()}})
			for i, step := range []struct {
				name, want string
				ports      int
			}{
				{"x.test", "old", 1},
				{"y.test", "right", 1},
				{"y.test", "right", 2}, // something came that should not have
			} {
				got, err := client.TXT(t.Context(), step.name)
				if err != nil || len(got.Records) != 1 || got.Records[0] != step.want {
					t.Errorf("%d: %q, error %v; want %s", i, got.Records, err, step.want)
				}
				if n := seen.different(); n != step.ports {
					t.Errorf("%d: questions from %d ports, want %d", i, n, step.ports)
				}
			}
		})
	}
}

// The reply to the question before can come twice.
func TestNewID(t *testing.T) {
	t.Parallel()
	var s socket
	last := s.newID()
	const draws = 1 << 20 // of 16 bits: some sixteen would be the one before
	for range draws {
		id := s.newID()
		if id == last {
			t.Fatalf("id %d twice", id)
		}
		last = id
	}
}

// nobody is the address of a server that is never asked: connecting a UDP socket
// needs no server.
var nobody = netip.MustParseAddrPort("127.0.0.1:9")

func open(t *testing.T, s *sockets, server netip.AddrPort) *socket {
	t.Helper()
	opened, err := s.open(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { opened.Close() })
	return opened
}

func idling(s *sockets) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.idle)
}

func isClosed(s *socket) bool { return errors.Is(s.SetDeadline(time.Time{}), net.ErrClosed) }

func TestIdleSockets(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s sockets
		rarely, often := open(t, &s, nobody), open(t, &s, nobody)
		s.giveBack(rarely)
		s.giveBack(often)
		if other := open(t, &s, netip.MustParseAddrPort("127.0.0.2:9")); other == rarely || other == often {
			t.Error("a socket to another server")
		}
		for range 10 {
			time.Sleep(idleLife / 2)
			synctest.Wait()
			if got := open(t, &s, nobody); got != often {
				t.Fatal("not the socket used last")
			}
			s.giveBack(often)
		}
		if !isClosed(rarely) || isClosed(often) {
			t.Errorf("closed: %v, %v; want the one that was not used", isClosed(rarely), isClosed(often))
		}
		time.Sleep(2 * idleLife)
		synctest.Wait()
		if !isClosed(often) || idling(&s) != 0 {
			t.Errorf("after twice %v: closed %v, %d idle", idleLife, isClosed(often), idling(&s))
		}
	})
}

func TestSocketsAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var s sockets
		var opened []*socket
		for range maxIdle + 1 {
			opened = append(opened, open(t, &s, nobody))
		}
		for _, one := range opened {
			s.giveBack(one)
		}
		if idling(&s) != maxIdle || !isClosed(opened[maxIdle]) {
			t.Errorf("%d idle, the last one closed: %v", idling(&s), isClosed(opened[maxIdle]))
		}
		time.Sleep(2 * idleLife) // a bubble ends when nothing is left to come
	})
}
