package socketmap

import (
	"io"
	"log/slog"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// pipes is a listener whose connections live in memory, where fake time can
// reach them.
type pipes struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (l *pipes) Accept() (net.Conn, error) {
	select {
	case nc := <-l.conns:
		return nc, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipes) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

func (l *pipes) dial() net.Conn {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
	case <-l.done:
		server.Close()
	}
	return client
}

// The limits on a connection's time, in fake time.
func TestServerEndsQuietConnections(t *testing.T) {
	const idle = 2 * time.Minute
	request := appendRequest(nil, "map", "a")
	big := appendRequest(nil, "map", "big")
	for _, tc := range []struct {
		name   string
		behave func(net.Conn)
		// The connection ends between these.
		after, before time.Duration
	}{
		{"never says a word", func(nc net.Conn) {}, idle, idle + 2*sweepInterval},
		{"says half a word", func(nc net.Conn) { nc.Write(request[:4]) }, requestTimeout, requestTimeout + 2*sweepInterval},
		{"drips for ever", func(nc net.Conn) {
			for _, err := nc.Write([]byte("9999:")); err == nil; _, err = nc.Write([]byte("x")) {
				time.Sleep(time.Second)
			}
		}, requestTimeout, requestTimeout + 2*sweepInterval},
		{"asks once", func(nc net.Conn) {
			time.Sleep(time.Minute)
			nc.Write(request)
			io.ReadFull(nc, make([]byte, len("4:OK a,")))
		}, time.Minute + idle, time.Minute + idle + 2*sweepInterval},
		{"asks and never reads", func(nc net.Conn) { nc.Write(big) }, writeTimeout, writeTimeout + 2*sweepInterval},
	} {
		t.Run(tc.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := NewServer(Netstrings(), &handler{}, NewConnections(10), idle, slog.New(slog.DiscardHandler))
				l := newPipes()
				go s.Serve(l)
				start := time.Now()
				nc := l.dial()
				var client sync.WaitGroup
				client.Go(func() { tc.behave(nc) })
				eventuallyGone(s)
				if took := time.Since(start); took < tc.after || took > tc.before {
					t.Errorf("ended after %v, want between %v and %v", took, tc.after, tc.before)
				}
				nc.Close()
				client.Wait()
				if err := s.Shutdown(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// eventuallyGone returns once the server has no connection any more.
func eventuallyGone(s *Server) {
	for {
		time.Sleep(time.Second) // of fake time
		synctest.Wait()
		s.conns.mu.Lock()
		left := len(s.conns.conns)
		s.conns.mu.Unlock()
		if left == 0 {
			return
		}
	}
}
