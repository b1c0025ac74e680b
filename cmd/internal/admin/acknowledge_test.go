package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

// stopped is a control socket that accepts nothing, like that of a daemon that was
// stopped by a signal.
func stopped(t *testing.T) (path string, l *net.UnixListener) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return path, l
}

// A daemon that does not acknowledge a request is named, whatever was asked.
func TestSilentDaemon(t *testing.T) {
	t.Parallel()
	path, _ := stopped(t)
	c := NewClient(path, nil)
	asked := map[string]func(context.Context) error{
		"status":   func(ctx context.Context) error { _, err := c.Status(ctx); return err },
		"health":   c.Health,
		"reload":   func(ctx context.Context) error { _, err := c.Reload(ctx); return err },
		"policies": func(ctx context.Context) error { return c.Policies(ctx, func(Listed) error { return nil }) },
		"purge":    func(ctx context.Context) error { return c.Purge(ctx, "a.example") },
	}
	type result struct {
		asked string
		err   error
	}
	results := make(chan result)
	for what, ask := range asked {
		go func() { results <- result{what, ask(t.Context())} }()
	}
	want := fmt.Sprintf("the daemon (pid %d) does not answer", os.Getpid())
	for range asked {
		if got := <-results; !errors.Is(got.err, ErrSilent) || !Unreachable(got.err) || got.err.Error() != want {
			t.Errorf("%s: %v", got.asked, got.err)
		}
	}
}

// A request that was acknowledged may take as long as it needs.
func TestSlowDaemon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client, server := net.Pipe()
		defer server.Close()
		c := &Client{http: http.Client{Transport: &http.Transport{
			DialContext: func(context.Context, string, string) (net.Conn, error) { return client, nil },
		}}}
		handler := NewHandler(Controls{Reload: func(context.Context) (Reloaded, error) {
			time.Sleep(time.Hour)
			return Reloaded{}, nil
		}})
		l := &oneConn{conn: server, done: make(chan struct{})}
		s := &http.Server{Handler: handler}
		go s.Serve(l)
		defer s.Close()
		if _, err := c.Reload(t.Context()); err != nil {
			t.Error(err)
		}
		c.http.CloseIdleConnections()
	})
}

// oneConn is a listener that accepts one connection.
type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (c net.Conn, err error) {
	if c, l.conn = l.conn, nil; c != nil {
		return c, nil
	}
	<-l.done
	return nil, net.ErrClosed
}

func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{} }

// A request sent to a stopped daemon is carried out only if its caller still
// waits.
func TestCallerGone(t *testing.T) {
	t.Parallel()
	path, l := stopped(t)
	for range 100 {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(c, "POST /reload HTTP/1.1\r\nHost: daemon\r\n\r\n")
		c.Close()
	}
	waiting := make(chan error, 1)
	go func() { _, err := NewClient(path, nil).Reload(t.Context()); waiting <- err }()

	reloads := make(chan struct{}, 200)
	s := &http.Server{Handler: NewHandler(Controls{Reload: func(context.Context) (Reloaded, error) {
		reloads <- struct{}{}
		return Reloaded{}, nil
	}})}
	go s.Serve(l)
	defer s.Close()
	if err := <-waiting; err != nil {
		t.Error(err)
	}
	if err := s.Shutdown(t.Context()); err != nil { // once all are dealt with
		t.Error(err)
	}
	if got := len(reloads); got != 1 {
		t.Errorf("%d reloads were carried out, want 1", got)
	}
}

func TestNotRunningWithBadConfiguration(t *testing.T) {
	t.Parallel()
	bad := errors.New("config.yaml:1: levle: unknown key")
	_, err := NewClient(filepath.Join(t.TempDir(), "none"), bad).Status(t.Context())
	if !errors.Is(err, ErrNotRunning) || !errors.Is(err, bad) {
		t.Errorf("got %v", err)
	}
}
