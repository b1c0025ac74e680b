package socketmap

import (
	"context"
	"log/slog"
	"net"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
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

// If there are fewer descriptors than connections allowed, idle connections keep
// no lookup out for longer than a moment.
func TestIdleConnectionsGiveUpDescriptors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const descriptors, idlers = 10, 100
		inner := newPipes()
		l := &scarce{Listener: inner}
		l.free.Store(descriptors)
		b := &bed{handler: &handler{release: make(chan struct{})}, pipes: inner}
		s := NewServer(Netstrings(), b.handler, NewConnections(2*idlers), time.Hour, slog.New(slog.DiscardHandler))
		go s.Serve(l)
		defer s.Shutdown(context.Background())

		for i := range idlers {
			start := time.Now()
			p := b.dial(t)
			p.ask("a")
			p.expect("OK a")
			if took := time.Since(start); took > protectedWhenFull+2*acceptRetry {
				t.Fatalf("lookup %d took %v", i, took)
			}
		}
	})
}
