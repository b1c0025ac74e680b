package socketmap

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"
)

const (
	// acceptRetry is the pause after a failed Accept.
	acceptRetry = 50 * time.Millisecond
	// closeWait is the pause instead if a connection was closed: until its
	// descriptor is free.
	closeWait = time.Millisecond
	// drainGrace is how long a connection is read after Shutdown has begun, for
	// requests that were on their way.
	drainGrace = 100 * time.Millisecond
	// requestTimeout is how long a request may take to arrive.
	requestTimeout = 30 * time.Second
	// writeTimeout is how long a client may leave a reply unread once the
	// system's buffers are full.
	writeTimeout = 30 * time.Second
	// sendBuffer is the number of bytes of replies that the system buffers for a
	// client over TCP that does not read. Linux would buffer megabytes, and a
	// client that floods would use much processor time to fill them.
	sendBuffer = 64 << 10
	// sweepInterval is how exact the time limits of connections are.
	sweepInterval = 5 * time.Second
)

// Server answers lookups of one protocol on any number of listeners.
type Server struct {
	protocol Protocol
	handler  Handler
	logger   *slog.Logger
	conns    *Connections
	idle     time.Duration // 0: no limit
	grace    time.Duration // drainGrace, longer in a test

	ctx    context.Context // of the lookups that wait
	cancel context.CancelFunc

	// accepting ends when Shutdown begins. That happens under conns.mu, so that
	// serving is never increased from 0 afterwards.
	accepting context.Context
	stop      context.CancelFunc
	serving   sync.WaitGroup // calls of Serve, and connections
}

// NewServer returns a Server for h; Shutdown ends it. conns limits its
// connections together with those of other servers. A connection that sends no
// request for the time idle is closed; 0 means no limit.
func NewServer(p Protocol, h Handler, conns *Connections, idle time.Duration, logger *slog.Logger) *Server {
	s := &Server{protocol: p, handler: h, logger: logger, conns: conns, idle: idle, grace: drainGrace}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.accepting, s.stop = context.WithCancel(s.ctx)
	go s.sweep()
	return s
}

// Serve accepts connections from l until Shutdown, then returns nil. It closes
// l. An error means that something else has closed l.
func (s *Server) Serve(l net.Listener) error {
	if !s.begin() {
		return l.Close()
	}
	defer s.serving.Done()
	defer l.Close()
	defer context.AfterFunc(s.accepting, func() { l.Close() })()
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.start(nc)
		case s.accepting.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %v: %w", l.Addr(), err)
		default:
			s.logger.Debug("Connection not accepted", "listener", l.Addr(), "reason", err)
			// Usually no file descriptor is free.
			if s.conns.makeRoom() {
				s.pause(closeWait)
			} else {
				s.pause(acceptRetry)
			}
		}
	}
}

// Shutdown stops listening, answers the lookups that were asked and closes the
// connections. If ctx ends first, it closes those that are left and returns an
// error.
func (s *Server) Shutdown(ctx context.Context) error {
	s.conns.mu.Lock()
	s.stop()
	for c := range s.conns.of(s) {
		c.drain()
	}
	s.conns.mu.Unlock()

	done := make(chan struct{})
	go func() {
		s.serving.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.cancel()
		return nil
	case <-ctx.Done():
	}

	s.cancel() // lookups that wait end with an error and are answered so
	s.conns.mu.Lock()
	left := 0
	for c := range s.conns.of(s) {
		c.cut()
		left++
	}
	s.conns.mu.Unlock()
	<-done
	return fmt.Errorf("%d connections cut off: %w", left, context.Cause(ctx))
}

// begin counts a call of Serve, unless Shutdown has begun.
func (s *Server) begin() bool {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	if s.accepting.Err() != nil {
		return false
	}
	s.serving.Add(1)
	return true
}

// start serves nc in a goroutine of its own.
func (s *Server) start(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBuffer) // the connection works without
	}
	c := newConn(s, nc)
	if !s.conns.add(c) {
		nc.Close()
		return
	}
	s.serving.Go(func() {
		c.serve()
		s.conns.remove(c)
	})
}

// sweep calls sweepAt until the server has ended.
func (s *Server) sweep() {
	ticker := time.NewTicker(sweepInterval)
	defer ticker.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-ticker.C:
			s.sweepAt(s.conns.now())
		}
	}
}

// sweepAt closes the connections that are past a time limit, and rechecks those
// that may have missed the end of their client.
func (s *Server) sweepAt(now int64) {
	s.conns.mu.Lock()
	defer s.conns.mu.Unlock()
	for c := range s.conns.of(s) {
		switch {
		case c.overdue(now):
			c.cut()
		case s.accepting.Err() == nil:
			c.recheck(now)
		}
	}
}

// pause returns false if Shutdown began before d has passed.
func (s *Server) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-s.accepting.Done():
		return false
	}
}
