package daemon

import (
	"context"
	"net"
	"net/http"
	"sync"
	"time"
)

// webConns are the connections of one web. At the limit a new connection takes the
// place of another, so that clients that send or read nothing keep nobody out: of the
// one that has waited longest for a request or, if all have one under way, of the one
// whose request is the oldest.
type webConns struct {
	limit int

	mu   sync.Mutex
	open map[*webConn]struct{}
}

// webConn is a connection of a web. The mutex of webConns guards its fields.
type webConn struct {
	net.Conn
	conns   *webConns
	serving bool      // a request is under way
	since   time.Time // of serving, or of waiting for a request
}

func newWebConns(limit int) *webConns {
	return &webConns{limit: limit, open: make(map[*webConn]struct{})}
}

// boundedListener is a listener whose connections are those of a web.
type boundedListener struct {
	net.Listener
	conns *webConns
}

// Accept implements net.Listener.
func (l boundedListener) Accept() (net.Conn, error) {
	nc, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.conns.add(nc), nil
}

func (cs *webConns) add(nc net.Conn) *webConn {
	c := &webConn{Conn: nc, conns: cs, since: time.Now()}
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
func (cs *webConns) victim() (victim *webConn) {
	for c := range cs.open {
		if victim == nil || victim.serving && !c.serving || victim.serving == c.serving && c.since.Before(victim.since) {
			victim = c
		}
	}
	return victim
}

// Close implements net.Conn.
func (c *webConn) Close() error {
	c.conns.mu.Lock()
	delete(c.conns.open, c)
	c.conns.mu.Unlock()
	return c.Conn.Close()
}

func (c *webConn) serve(serving bool) {
	c.conns.mu.Lock()
	defer c.conns.mu.Unlock()
	c.serving, c.since = serving, time.Now()
}

// connKey is the key of a request's webConn in its context.
type connKey struct{}

// server returns an http.Server without limits of time for h on these connections.
// Nothing here takes a body: a request with one is refused, because net/http would wait
// for the body even if the handler does not read it.
func (cs *webConns) server(h http.Handler) *http.Server {
	return &http.Server{
		ConnContext: func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) },
		Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.ContentLength != 0 {
				http.NewResponseController(w).SetReadDeadline(time.Now())
				w.Header().Set("Connection", "close")
				http.Error(w, "a request must have no body", http.StatusRequestEntityTooLarge)
				return
			}
			c := req.Context().Value(connKey{}).(*webConn)
			c.serve(true)
			defer c.serve(false)
			h.ServeHTTP(w, req)
		}),
	}
}
