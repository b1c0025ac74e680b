package webconns

import (
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

var greeting = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") })

// server is a server on a unix socket.
type server struct {
	conns *Conns
	path  string
}

func serve(t *testing.T, limit int, h http.Handler) server {
	t.Helper()
	s := server{New(limit), filepath.Join(t.TempDir(), "socket")}
	l, err := net.Listen("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	hs := s.conns.Server(h, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { hs.Close() })
	go hs.Serve(s.conns.Listener(l))
	return s
}

// dial opens a connection until the test ends.
func (s server) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("unix", s.path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// greets asks the server once.
func (s server) greets(t *testing.T) bool {
	t.Helper()
	c := s.dial(t)
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	answer, _ := io.ReadAll(c)
	return strings.HasSuffix(string(answer), "hello")
}

// Clients that take all connections and do not go on keep nobody out.
func TestMakesRoom(t *testing.T) {
	t.Parallel()
	const limit = 64
	for name, request := range map[string]string{
		"silent":           "",
		"part of a header": "GET / HTTP/1.1\r\nHost:",
		"no body":          "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n",
		"no chunks":        "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n",
		"idle":             "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"reads nothing":    "GET /much HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			much := make([]byte, 16<<20) // more than the buffers of a socket
			h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if req.URL.Path == "/much" {
					w.Write(much)
				}
				greeting(w, req)
			})
			s := serve(t, limit, h)
			for range limit {
				io.WriteString(s.dial(t), request)
			}
			if !s.greets(t) {
				t.Error("nobody else is served")
			}
			s.conns.mu.Lock()
			defer s.conns.mu.Unlock()
			if open := len(s.conns.open); open > limit {
				t.Errorf("%d connections are open, more than %d", open, limit)
			}
		})
	}
}

// The connection that makes room is not one with a request under way, if there is
// another.
func TestKeepsRequests(t *testing.T) {
	t.Parallel()
	const limit = 4
	begun, proceed := make(chan struct{}), make(chan struct{})
	h := http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path == "/slow" {
			begun <- struct{}{}
			<-proceed
		}
		greeting(w, req)
	})
	s := serve(t, limit, h)
	slow := s.dial(t)
	io.WriteString(slow, "GET /slow HTTP/1.0\r\n\r\n")
	<-begun
	for range 3 * limit {
		s.dial(t)
	}
	if !s.greets(t) {
		t.Error("nobody else is served")
	}
	close(proceed)
	if answer, _ := io.ReadAll(slow); !strings.HasSuffix(string(answer), "hello") {
		t.Errorf("the request under way was cut: %q", answer)
	}
}

// A request with a body is refused at once.
func TestRefusesBodies(t *testing.T) {
	t.Parallel()
	c := serve(t, 1, greeting).dial(t)
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n")
	answer, err := io.ReadAll(c) // to the end: the connection is closed
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 413 ") {
		t.Errorf("%q, %v", answer, err)
	}
}
