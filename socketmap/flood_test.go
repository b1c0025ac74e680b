package socketmap

import (
	"context"
	"log/slog"
	"net"
	"strings"
	"testing"
)

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
