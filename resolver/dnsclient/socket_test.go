package dnsclient

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/miekg/dns"
)

// listen opens a socket for a server, and returns it with its address.
func listen(t *testing.T) (*net.UDPConn, netip.AddrPort) {
	t.Helper()
	conn, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort("127.0.0.1:0")))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn, netip.MustParseAddrPort(conn.LocalAddr().String())
}

// reply answers the query that has arrived at server, with no records. The client
// can read the reply when it returns: loopback takes no time.
func reply(t *testing.T, server *net.UDPConn) {
	t.Helper()
	var buf packet
	n, from, err := server.ReadFromUDPAddrPort(buf[:])
	if err != nil {
		t.Error(err)
		return
	}
	query := new(dns.Msg)
	if err := query.Unpack(buf[:n]); err != nil {
		t.Error(err)
		return
	}
	packed, err := new(dns.Msg).SetReply(query).Pack()
	if err != nil {
		t.Error(err)
		return
	}
	if _, err := server.WriteToUDPAddrPort(packed, from); err != nil {
		t.Error(err)
		return
	}
}

// A question can be waited for again after its deadline, wherever that left it.
func TestReceiveAgain(t *testing.T) {
	t.Parallel()
	const soon, never = 10 * time.Millisecond, -time.Second
	for _, tt := range []struct {
		title string
		wait  time.Duration
		then  bool // the reply comes while nobody waits
	}{
		{"not sent", never, false},
		{"no reply", soon, false},
		{"the reply is there", soon, true},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server, addr := listen(t)
			var s sockets
			q := mustQuery(t, "x.test.", dns.TypeTXT)
			asking := open(t, &s, addr)
			asking.pose(q)
			asking.SetReadDeadline(time.Now().Add(tt.wait))
			if got, err := asking.receive(q); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %v, error %v; want the deadline", got, err)
			}
			answered := make(chan struct{})
			go func() {
				defer close(answered)
				reply(t, server)
			}()
			if tt.then {
				<-answered
			}
			asking.SetReadDeadline(time.Time{})
			if got, err := asking.receive(q); err != nil || got.Id != asking.last || asking.spoilt {
				t.Errorf("got %v, error %v, spoilt %v", got, err, asking.spoilt)
			}
			<-answered
			server.SetReadDeadline(time.Now().Add(soon))
			var buf packet
			if n, err := server.Read(buf[:]); err == nil {
				t.Errorf("the query came twice: %x", buf[:n])
			}
		})
	}
}

// Nothing is asked after the caller has given up.
func TestOpenAfterTheEnd(t *testing.T) {
	t.Parallel()
	_, addr := listen(t)
	var s sockets
	s.giveBack(open(t, &s, addr))
	gone := errors.New("gone")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(gone)
	if got, err := s.open(ctx, addr); !errors.Is(err, gone) || idling(&s) != 1 {
		t.Errorf("got %v, error %v, %d idle", got, err, idling(&s))
	}
}

// The next system call on the socket reports that nobody listens, whichever it
// is.
func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title, want string
		before      func(*socket) // the question
	}{
		{"by this question", "read: connection refused", func(*socket) {}},
		{"by something before", "write: connection refused", func(s *socket) { s.Write([]byte("x")) }},
	} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			server, addr := listen(t)
			server.Close()
			var s sockets
			asking := open(t, &s, addr)
			tt.before(asking)
			q := mustQuery(t, "x.test.", dns.TypeTXT)
			asking.pose(q)
			if got, err := asking.receive(q); err == nil || err.Error() != tt.want {
				t.Errorf("got %v, error %v; want %s", got, err, tt.want)
			}
		})
	}
}
