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
			if reason := recover(); reason != nil { // it used something that the test does not provide
				t.Errorf("%s %s was carried out: %v", req.Method, req.URL, reason)
			}
		}()
		h.ServeHTTP(w, req)
	})}
	go server.Serve(l)
	t.Cleanup(func() { server.Close() })
	return NewClient(path, nil)
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
		if _, err := NewClient(path, nil).Status(t.Context()); !errors.Is(err, ErrNotRunning) || !strings.Contains(err.Error(), path) || !Unreachable(err) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestNotPermitted(t *testing.T) {
	t.Parallel()
	if err := dialError("/run/admin.sock", nil, &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}); !errors.Is(err, ErrNotPermitted) || !Unreachable(err) {
		t.Errorf("got %v", err)
	}
	if err := dialError("/run/admin.sock", nil, os.NewSyscallError("connect", syscall.EAGAIN)); !errors.Is(err, ErrSilent) || !Unreachable(err) {
		t.Errorf("all waiting places taken: %v", err)
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

// The commands find the socket that a daemon of the same user makes.
func TestPath(t *testing.T) {
	const somebody = 1000
	home := t.TempDir()
	host := directories{unit: home + "/unit", users: home + "/users"}
	for _, tc := range []struct {
		uid                              int
		socket, systemds, runtime, state string
		want                             string
	}{
		{somebody, "", "", home + "/run", home + "/state", home + "/run/mta-sts-daemon/admin.sock"},
		{somebody, "", "", "", home + "/state", home + "/state/mta-sts-daemon/admin.sock"},
		{somebody, "", "", "", "", home + "/.local/state/mta-sts-daemon/admin.sock"},
		{somebody, "", "", "relative", "", home + "/.local/state/mta-sts-daemon/admin.sock"},
		{somebody, "", "/run/one:/run/two", "", "", "/run/one/admin.sock"},
		{somebody, "/tmp/mine", "/run/one", "", "", "/tmp/mine"},
		{root, "", "", home + "/run", "", home + "/run/mta-sts-daemon/admin.sock"},
		{root, "", "", "", "", home + "/unit/admin.sock"},
	} {
		t.Setenv("HOME", home)
		t.Setenv("RUNTIME_DIRECTORY", tc.systemds)
		t.Setenv("XDG_RUNTIME_DIR", tc.runtime)
		t.Setenv("XDG_STATE_HOME", tc.state)
		cfg := config.Admin{Socket: tc.socket}
		if got, err := host.path(tc.uid, cfg); err != nil || got != tc.want {
			t.Errorf("%+v: %q, %v", tc, got, err)
		}
		if got := host.find(tc.uid, cfg); got != tc.want {
			t.Errorf("%+v: found %q", tc, got)
		}
	}
}

// A command may run without the variables that its daemon had.
func TestFindWithoutRuntimeDirectory(t *testing.T) {
	const somebody = 1000
	home := t.TempDir()
	host := directories{unit: home + "/unit", users: home + "/users"}
	t.Setenv("HOME", home)
	for _, name := range []string{"RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR", "XDG_STATE_HOME"} {
		t.Setenv(name, "")
	}
	made := filepath.Join(home, ".local/state/mta-sts-daemon/admin.sock")
	if err := os.MkdirAll(filepath.Dir(made), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(made, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("XDG_RUNTIME_DIR", home+"/run") // another session's
	if got := host.find(somebody, config.Admin{}); got != made {
		t.Errorf("found %q, want %q", got, made)
	}
	t.Setenv("HOME", "")
	t.Setenv("XDG_RUNTIME_DIR", "")
	if path, err := host.path(somebody, config.Admin{}); err == nil {
		t.Errorf("a daemon without any directory would use %s", path)
	}
}
