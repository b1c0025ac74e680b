// Package webconns limits the connections of an HTTP listener for operators, so that
// clients that send or read nothing keep nobody out.
package webconns

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

const (
	headerWait = 10 * time.Second
	idle       = 30 * time.Second
	headerLen  = 16 << 10 // bytes
)

// Conns are the connections of one server. At the limit a new connection takes the
// place of another: of the one that has waited longest for a request or, if all have one
// under way, of the one whose request is the oldest.
type Conns struct {
	limit int

	mu   sync.Mutex
	open map[*conn]struct{}
}

// conn is a connection. The mutex of Conns guards its fields.
type conn struct {
	net.Conn
	conns   *Conns
	serving bool      // a request is under way
	since   time.Time // of serving, or of waiting for a request
}

// New returns Conns without a connection.
func New(limit int) *Conns {
	return &Conns{limit: limit, open: make(map[*conn]struct{})}
}

// Listener returns a listener that accepts the connections of l as these.
func (cs *Conns) Listener(l net.Listener) net.Listener { return listener{l, cs} }

type listener struct {
	net.Listener
	conns *Conns
}

// Accept implements net.Listener.
func (l listener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.add(nc), nil
}

func (cs *Conns) add(nc net.Conn) *conn {
	c := &conn{Conn: nc, conns: cs, since: time.Now()}
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if len(cs.open) >= cs.limit {
		victim := cs.victim()
		delete(cs.open, victim)
		victim.Conn.Close()
	}
	cs.open[c] = struct{}{}
	return c
}

// victim returns the connection that makes room. mu is held.
func (cs *Conns) victim() (victim *conn) {
	for c := range cs.open {
		if victim == nil || victim.serving && !c.serving || victim.serving == c.serving && c.since.Before(victim.since) {
			victim = c
		}
	}
	return victim
}

// Close implements net.Conn.
func (c *conn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) serve(serving bool) {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.serving, c.since = serving, time.Now()
}

// connKey is the key of a request's conn in its context.
type connKey struct{}

// Server returns an http.Server for h on these connections, for Serve on a Listener.
// Nothing here takes a body: a request with one is refused, because net/http would wait
// for the body even if the handler does not read it.
func (cs *Conns) Server(h http.Handler, logger *slog.Logger) *http.Server {
	return &http.Server{
		ReadHeaderTimeout: headerWait,
		IdleTimeout:       idle,
		MaxHeaderBytes:    headerLen,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
		ConnContext:       func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.ContentLength != 0 {
				http.NewResponseController(w).SetReadDeadline(time.Now())
				w.Header().Set("Connection", "close")
				http.Error(w, "a request must have no body", http.StatusRequestEntityTooLarge)
				return
			}
			c := req.Context().Value(connKey{}).(*conn)
			c.serve(true)
			defer c.serve(false)
			h.ServeHTTP(w, req)
		}),
	}
}
