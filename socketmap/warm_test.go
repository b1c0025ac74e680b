package socketmap

import (
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// nowhere is a connection that discards all writes.
type nowhere struct{ net.Conn }

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

// However many lookups a read brings, the wire makes one string of it.
func TestReadAllocatesOnce(t *testing.T) {
	for _, tc := range []struct {
		protocol Protocol
		request  string
	}{
		{Netstrings(), "19:postfix example.com,"},
		{TCPTable("postfix"), "get example.com\n"},
	} {
		s := NewServer(tc.protocol, &handler{}, NewConnections(1), time.Minute, slog.New(slog.DiscardHandler))
		c := newConn(s, nowhere{})
		read := []byte(strings.Repeat(tc.request, 10))
		n := testing.AllocsPerRun(100, func() {
			if used, err := c.handleAll(read); err != nil || used != len(read) {
				t.Fatal(used, err)
			}
			c.flush()
		})
		if n > 1 {
			t.Errorf("%T: %v allocations for a read, want 1", tc.protocol, n)
		}
		s.Shutdown(t.Context())
	}
}

// A lookup that memory answers, without the system calls.
func BenchmarkWarmLookup(b *testing.B) {
	s := NewServer(Netstrings(), &handler{}, NewConnections(1), time.Minute, slog.New(slog.DiscardHandler))
	defer s.Shutdown(b.Context())
	c := newConn(s, nowhere{})
	request := appendRequest(nil, "postfix", "example.com")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.handleAll(request); err != nil {
			b.Fatal(err)
		}
		c.flush()
	}
}

// One lookup over loopback, the client's side included.
func BenchmarkRoundTrip(b *testing.B) {
	bed := newBed(b, 10, time.Minute)
	c, err := Dial(b.Context(), "tcp", bed.addr)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Lookup(b.Context(), "postfix", "example.com"); err != nil {
			b.Fatal(err)
		}
	}
}
