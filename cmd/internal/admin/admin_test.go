package admin

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"mta-sts-daemon/config"
)

// serve answers on a control socket of its own.
func serve(t *testing.T, h http.Handler) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "admin.sock")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		defer func() {
			if reason := recover(); reason != nil { // it used what the test does not have
				t.Errorf("%s %s was carried out: %v", req.Method, req.URL, reason)
			}
		}()
		h.ServeHTTP(w, req)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return NewClient(path)
}

func TestHealth(t *testing.T) {
	t.Parallel()
	var ill error
	c := serve(t, NewHandler(Controls{Health: func(context.Context) error { return ill }}))
	if err := c.Health(t.Context()); err != nil {
		t.Error(err)
	}
	ill = errors.New("the daemon hangs")
	if err := c.Health(t.Context()); err == nil || err.Error() != "the daemon hangs" || Unreachable(err) {
		t.Errorf("got %v", err)
	}
}

func TestReload(t *testing.T) {
	t.Parallel()
	refused := errors.New("config.yaml:1: mood: unknown key")
	var err error
	c := serve(t, NewHandler(Controls{Reload: func(context.Context) (Reloaded, error) {
		return Reloaded{NeedRestart: []string{"listen"}}, err
	}}))
	if got, err := c.Reload(t.Context()); err != nil || fmt.Sprint(got.NeedRestart) != "[listen]" {
		t.Errorf("got %v, %v", got, err)
	}
	err = refused
	if _, err := c.Reload(t.Context()); err == nil || err.Error() != refused.Error() {
		t.Errorf("got %v", err)
	}
}

func TestNobodyThere(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	for _, path := range []string{stale, filepath.Join(dir, "none"), filepath.Join(dir, "no", "directory")} {
		if _, err := NewClient(path).Status(t.Context()); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), path) || !Unreachable(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNotPermitted(t *testing.T) {
	t.Parallel()
	if err := dialError("/run/admin.sock", &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}); !errors.Is(err, ErrNotPermitted) || !Unreachable(err) {
		t.Errorf("got %v", err)
	}
}

// A daemon of another version, or something else altogether.
func TestStrangeAnswers(t *testing.T) {
	t.Parallel()
	for name, h := range map[string]http.HandlerFunc{
		"no such page": http.NotFound,
		"no JSON":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "<html>") },
		"cut off": func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintln(w, `{"domain": "a.example"}`)
			fmt.Fprint(w, `{"domain": "b.exa`)
		},
	} {
		c := serve(t, h)
		got := 0
		err := c.Policies(t.Context(), func(Listed) error { got++; return nil })
		if err == nil || errors.Is(err, ErrUnknown) || Unreachable(err) {
			t.Errorf("%s: %d policies, %v", name, got, err)
		}
	}
}

func TestPath(t *testing.T) {
	users := filepath.Join(t.TempDir(), "user")
	t.Setenv("XDG_RUNTIME_DIR", users)
	inUsers := filepath.Join(users, "mta-sts-daemon", "admin.sock")
	for _, tc := range []struct{ socket, systemds, want string }{
		{"", "", inUsers},
		{"", "/run/one:/run/two", "/run/one/admin.sock"},
		{"/tmp/mine", "/run/one", "/tmp/mine"},
	} {
		t.Setenv("RUNTIME_DIRECTORY", tc.systemds)
		cfg := config.Admin{Socket: tc.socket}
		if got, err := Path(cfg); err != nil || got != tc.want {
			t.Errorf("%+v: %q, %v", tc, got, err)
		}
		if got := Find(cfg); got != tc.want {
			t.Errorf("%+v: found %q", tc, got)
		}
	}
}
