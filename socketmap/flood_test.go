package socketmap

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
	"time"
)

// However many connections lie idle, a new lookup is answered.
func TestIdleConnectionsKeepNoLookupOut(t *testing.T) {
	t.Parallel()
	const room, idlers = 100, 1000
	b := newBed(t, room, time.Hour)
	for i := range idlers {
		p := b.dial(t)
		switch i % 3 {
		case 1:
			p.ask("a") // and never reads
		case 2:
			p.send("9999:half a requ")
		}
		if i%100 == 99 {
			late := b.dial(t)
			late.ask("late")
			late.expect("OK late")
		}
	}
	b.server.conns.mu.Lock()
	defer b.server.conns.mu.Unlock()
	if n := len(b.server.conns.conns); n > room {
		t.Errorf("%d connections are kept, want at most %d", n, room)
	}
}

// Two servers share the bound, and what is idle at one makes room at the other.
func TestServersShareTheirRoom(t *testing.T) {
	t.Parallel()
	conns := NewConnections(2)
	h := &handler{release: make(chan struct{})}
	serve := func(p Protocol) *bed {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		s := NewServer(p, h, conns, 0, slog.New(slog.DiscardHandler))
		go s.Serve(l)
		t.Cleanup(func() { s.Shutdown(context.Background()) })
		return &bed{handler: h, server: s, addr: l.Addr().String()}
	}
	netstrings, table := serve(Netstrings()), serve(TCPTable("map"))
	first := table.dial(t)
	first.send("get a\n")
	if line, err := first.in.ReadString('\n'); line != "200 a\n" {
		t.Fatalf("%q, %v", line, err)
	}
	for range 2 {
		p := netstrings.dial(t)
		p.ask("b")
		p.expect("OK b")
	}
	first.expectEnd()
}

// The table's connections are kept however long they are idle; its requests
// are answered in order, good and bad.
func TestTCPTableServer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{handler: &handler{release: make(chan struct{})}, addr: l.Addr().String()}
	s := NewServer(TCPTable("map"), b.handler, NewConnections(10), 0, slog.New(slog.DiscardHandler))
	go s.Serve(l)
	t.Cleanup(func() { s.Shutdown(context.Background()) })

	p := b.dial(t)
	p.send("get a\nget slow\nget absent\nput a b\nget %zz\nget big\nget c%20d\n")
	if line, err := p.in.ReadString('\n'); line != "200 a\n" {
		t.Fatalf("%q, %v", line, err)
	}
	close(b.release)
	for _, want := range []string{"200 slow", "500 not%20found", "400 the%20request%20is%20not%20get", "400 the%20request%20has", "400 the%20answer%20is%20longer", "200 c%20d"} {
		if line, err := p.in.ReadString('\n'); !strings.HasPrefix(line, want) {
			t.Errorf("%q, %v; want %s", line, err, want)
		}
	}
	p.send(strings.Repeat("x", MaxRequest+1))
	p.expectEnd()
}
