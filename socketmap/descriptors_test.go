package socketmap

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// scarce is a listener of a process that may have few descriptors.
type scarce struct {
	net.Listener
	free atomic.Int32
}

func (l *scarce) Accept() (net.Conn, error) {
	if l.free.Add(-1) < 0 {
		l.free.Add(1)
		return nil, &net.OpError{Op: "accept", Net: "tcp", Err: syscall.EMFILE}
	}
	nc, err := l.Listener.Accept()
	return &descriptor{Conn: nc, of: l}, err
}

// descriptor is free again when the connection is closed.
type descriptor struct {
	net.Conn
	of     *scarce
	closed atomic.Bool
}

func (d *descriptor) Close() error {
	if d.closed.CompareAndSwap(false, true) {
		d.of.free.Add(1)
	}
	return d.Conn.Close()
}

// Where descriptors are fewer than the connections allowed, idle connections
// keep no lookup out.
func TestIdleConnectionsGiveUpDescriptors(t *testing.T) {
	t.Parallel()
	const descriptors, idlers = 10, 100
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &scarce{Listener: inner}
	l.free.Store(descriptors)
	b := &bed{handler: &handler{release: make(chan struct{})}, addr: inner.Addr().String()}
	s := NewServer(Netstrings(), b.handler, NewConnections(2*idlers), time.Hour, slog.New(slog.DiscardHandler))
	go s.Serve(l)
	t.Cleanup(func() { s.Shutdown(context.Background()) })

	start := time.Now()
	for range idlers {
		p := b.dial(t)
		p.ask("a")
		p.expect("OK a")
	}
	if took := time.Since(start); took > idlers*acceptRetry {
		t.Errorf("%d lookups took %v", idlers, took)
	}
}
