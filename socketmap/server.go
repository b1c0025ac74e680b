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
	// acceptRetry is the pause after a failure to accept.
	acceptRetry = 50 * time.Millisecond
	// closeWait is the pause after that where a connection was closed, until
	// its descriptor is free.
	closeWait = time.Millisecond
	// drainGrace is how long a connection is still read once Shutdown has
	// begun, for requests that were under way.
	drainGrace = 100 * time.Millisecond
	// requestTimeout is how long a request may take to arrive.
	requestTimeout = 30 * time.Second
	// writeTimeout is how long a client may leave a reply unread once the
	// system's buffers are full.
	writeTimeout = 30 * time.Second
	// sendBuffer is how many octets of replies wait for a client over TCP that does
	// not read. Left to itself Linux has room for megabytes, and a client that
	// floods has a processor fill them.
	sendBuffer = 64 << 10
	// sweepInterval is how exact the limits on a connection's time are.
	sweepInterval = 5 * time.Second
)

// Server answers lookups of one protocol on any number of listeners.
type Server struct {
	protocol Protocol
	handler  Handler
	logger   *slog.Logger
	conns    *Connections
	idle     time.Duration // 0: no limit

	ctx    context.Context // of the lookups that wait
	cancel context.CancelFunc

	mu        sync.Mutex
	draining  bool
	listeners map[net.Listener]bool
	active    map[*conn]bool
	serving   sync.WaitGroup // of connections
}

// NewServer returns a Server for h; Shutdown ends it. Its connections count
// among conns; one that has asked nothing for the time idle is closed, unless
// that is 0.
func NewServer(p Protocol, h Handler, conns *Connections, idle time.Duration, logger *slog.Logger) *Server {
	s := &Server{protocol: p, handler: h, logger: logger, conns: conns, idle: idle,
		listeners: map[net.Listener]bool{}, active: map[*conn]bool{}}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	go s.sweep()
	return s
}

// Serve accepts connections from l until Shutdown, then returns nil. It closes
// l. An error means that l was closed by somebody else.
func (s *Server) Serve(l net.Listener) error {
	if !s.add(l) {
		return l.Close()
	}
	for {
		nc, err := l.Accept()
		switch {
		case err == nil:
			s.start(nc)
		case s.isDraining():
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("listener %v: %w", l.Addr(), err)
		default:
			s.logger.Debug("Connection not accepted", "listener", l.Addr(), "reason", err)
			// Most often no descriptor is free: where they are fewer than the
			// connections allowed, those idle must not keep lookups out either.
			if s.conns.makeRoom() {
				s.pause(closeWait)
			} else {
				s.pause(acceptRetry)
			}
		}
	}
}

// Shutdown stops listening, answers the lookups that were asked and closes the
// connections. When ctx ends first, it cuts off what is left and says so.
func (s *Server) Shutdown(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	for l := range s.listeners {
		l.Close()
	}
	for c := range s.active {
		c.drain()
	}
	s.mu.Unlock()

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

	s.cancel() // lookups that wait are given up and answered so
	s.mu.Lock()
	left := len(s.active)
	for c := range s.active {
		c.cut()
	}
	s.mu.Unlock()
	<-done
	return fmt.Errorf("%d connections cut off: %w", left, context.Cause(ctx))
}

func (s *Server) add(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	s.listeners[l] = true
	return true
}

func (s *Server) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

// start serves nc in a goroutine of its own.
func (s *Server) start(nc net.Conn) {
	if tcp, ok := nc.(*net.TCPConn); ok {
		tcp.SetWriteBuffer(sendBuffer) // or it is served all the same
	}
	c := newConn(s, nc)
	if !s.conns.add(s.ctx, c) {
		nc.Close()
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active[c] = true
	s.serving.Add(1)
	if s.draining {
		c.drain()
	}
	go func() {
		c.serve()
		s.conns.remove(c)
		s.mu.Lock()
		delete(s.active, c)
		s.mu.Unlock()
		s.serving.Done()
	}()
}

// sweep looks after the connections until Shutdown.
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

// sweepAt cuts the connections whose client has gone quiet, and has those
// rechecked that may have missed its end.
func (s *Server) sweepAt(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.active {
		switch {
		case c.overdue(now):
			c.cut()
		case !s.draining:
			c.recheck(now)
		}
	}
}

// goOn reports whether c goes on after a deadline of its reading has passed. It
// does if that was but for a recheck.
func (s *Server) goOn(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return c.goOn()
}

func (s *Server) pause(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-s.ctx.Done():
	}
}
