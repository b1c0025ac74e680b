package daemon

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/resolvertest"
)

var access = config.Listen{SocketMode: 0o660}

// answering listens at path and sends name to every client.
func answering(t *testing.T, path, name string) watched {
	t.Helper()
	l, err := listenAt(unixAt(path), access)
	if err != nil {
		t.Fatal(err)
	}
	serveName(l, name)
	t.Cleanup(func() { l.Close() })
	return l.(watched)
}

func serveName(l net.Listener, name string) {
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			io.WriteString(nc, name)
			nc.Close()
		}
	}()
}

// atPath returns the name that a client at path gets, or "" if it cannot connect.
func atPath(t *testing.T, path string) string {
	t.Helper()
	nc, err := net.Dial("unix", path)
	if err != nil {
		return ""
	}
	defer nc.Close()
	name, err := io.ReadAll(nc)
	if err != nil {
		t.Error(err)
	}
	return string(name)
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

// TestOwnSocketFile tests what the daemon does when others change its socket
// file.
func TestOwnSocketFile(t *testing.T) {
	for _, tc := range []struct {
		title    string
		change   func(t *testing.T, path string)
		restored bool
		reason   string // of the error; "" for none
		answers  string // whom a client finds then
		left     bool   // whether there is a file when the daemon has ended
	}{
		{"nothing", func(*testing.T, string) {}, false, "", "own", false},
		{"removed", remove, true, "", "own", false},
		{"removed with its directory", func(t *testing.T, path string) { remove(t, filepath.Dir(path)) },
			false, "cannot be made again", "", false},
		{"another program listens there", func(t *testing.T, path string) { remove(t, path); answering(t, path, "other") },
			false, "in use by another program", "other", true},
		{"a stale socket, as from a backup", func(t *testing.T, path string) {
			remove(t, path)
			l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
			if err != nil {
				t.Fatal(err)
			}
			l.SetUnlinkOnClose(false)
			l.Close()
		}, true, "", "own", false},
		{"another file", func(t *testing.T, path string) {
			remove(t, path)
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}, false, "is not a socket", "", true},
	} {
		t.Run(tc.title, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "directory", "socket")
			if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			l := answering(t, path, "own")
			tc.change(t, path)
			restored, err := l.check()
			if restored != tc.restored || err == nil != (tc.reason == "") || err != nil && !strings.Contains(err.Error(), tc.reason) {
				t.Errorf("check: %v, %v", restored, err)
			}
			if got := atPath(t, path); got != tc.answers {
				t.Errorf("a client finds %q, want %q", got, tc.answers)
			}
			if info, err := os.Stat(path); tc.answers == "own" && (err != nil || info.Mode().Perm() != access.SocketMode) {
				t.Errorf("%v, %v; want mode %v", info, err, access.SocketMode)
			}
			l.Close()
			if _, err := os.Lstat(path); err == nil != tc.left {
				t.Errorf("after Close: %v", err)
			}
			if restored, err := l.check(); restored || err != nil {
				t.Errorf("check after Close: %v, %v", restored, err)
			}
		})
	}
}

// A socket that could not be made again is made when that becomes possible, and
// each change is logged once.
func TestSocketIsMadeAgainLater(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory", "socket")
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	w := &watch{logger: slog.New(slog.NewTextHandler(&log, nil)), lost: event.SocketLost}
	w.set([]net.Listener{answering(t, path, "own")})
	if err := w.err(); err != nil {
		t.Error(err)
	}
	remove(t, filepath.Dir(path))
	for range 3 {
		if err := w.err(); err == nil || !strings.Contains(err.Error(), path) {
			t.Errorf("err: %v", err)
		}
	}
	if err := os.Mkdir(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := w.err(); err != nil {
		t.Error(err)
	}
	if got := atPath(t, path); got != "own" {
		t.Errorf("a client finds %q", got)
	}
	for _, e := range []event.Event{event.SocketLost, event.SocketRestored} {
		if n := strings.Count(log.String(), e.Define().Message); n != 1 {
			t.Errorf("%q is logged %d times:\n%s", e.Define().Message, n, &log)
		}
	}
}

func TestPassedSocketFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "directory", "socket")
	listener := func() net.Listener {
		os.Mkdir(filepath.Dir(path), 0o700)
		os.Remove(path)
		l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
		if err != nil {
			t.Fatal(err)
		}
		l.SetUnlinkOnClose(false)
		t.Cleanup(func() { l.Close() })
		return l
	}
	for _, tc := range []struct {
		title         string
		before, after func() // the daemon takes the socket over
		lost          bool
	}{
		{"there", func() {}, func() {}, false},
		{"removed", func() {}, func() { remove(t, path) }, true},
		{"removed with its directory", func() {}, func() { remove(t, filepath.Dir(path)) }, true},
		{"another one in its place", func() {}, func() { listener() }, true},
		{"removed before the start", func() { remove(t, path) }, func() {}, true},
		{"in a directory that is not visible here", func() { remove(t, filepath.Dir(path)) }, func() {}, false},
	} {
		l := listener()
		tc.before()
		s := newPassedSocket(l)
		tc.after()
		if _, err := s.check(); err != nil != tc.lost {
			t.Errorf("%s: %v", tc.title, err)
		}
	}
	overTCP, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer overTCP.Close()
	if _, err := newPassedSocket(overTCP).check(); err != nil {
		t.Error(err)
	}
}

func TestMapNameAt(t *testing.T) {
	dir := t.TempDir()
	l := answering(t, dir+"/sock", "own")
	if err := os.Symlink(dir, dir+"/link"); err != nil {
		t.Fatal(err)
	}
	tcpAt := func(address string) net.Addr {
		a, err := net.ResolveTCPAddr("tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	for _, tc := range []struct {
		configured config.Address
		at         net.Addr
		same       bool
	}{
		{tcp("127.0.0.1:8462"), tcpAt("127.0.0.1:8462"), true},
		{tcp("localhost:8462"), tcpAt("127.0.0.1:8462"), resolvertest.KnowsLocalhost(t)},
		{tcp(":8462"), tcpAt("[::]:8462"), true},
		{tcp(":8462"), tcpAt("0.0.0.0:8462"), true},
		{tcp("0.0.0.0:8462"), tcpAt("[::]:8462"), true}, // systemd's ListenStream=8462
		{tcp("[::1]:8462"), tcpAt("[0:0:0:0:0:0:0:1]:8462"), true},
		{tcp("[::ffff:127.0.0.1]:8462"), tcpAt("127.0.0.1:8462"), true},
		{tcp("127.0.0.1:8462"), tcpAt("127.0.0.1:8463"), false},
		{tcp("127.0.0.1:8462"), tcpAt("127.0.0.2:8462"), false},
		{tcp(":8462"), tcpAt("127.0.0.1:8462"), false},
		{tcp("127.0.0.1:8462"), tcpAt("[::]:8462"), false},
		{tcp("nobody.invalid:8462"), tcpAt("127.0.0.1:8462"), false},
		{unixAt(dir + "/sock"), l.Addr(), true},
		{unixAt(dir + "/link/sock"), l.Addr(), true},
		{unixAt(dir + "//sock"), l.Addr(), true},
		{unixAt(dir + "/other"), l.Addr(), false},
		{tcp("127.0.0.1:8462"), l.Addr(), false},
		{unixAt(dir + "/sock"), tcpAt("127.0.0.1:8462"), false},
	} {
		cfg := config.Listen{TCPTable: []config.TCPTable{
			{Address: tcp("192.0.2.1:1"), Map: "other"}, {Address: tc.configured, Map: "tlsrpt"}}}
		want := map[bool]string{true: "tlsrpt", false: ""}[tc.same]
		if got := mapNameAt(t.Context(), cfg, tc.at); got != want {
			t.Errorf("%v as %v: got %q, want %q", tc.configured, tc.at, got, want)
		}
	}
}

// Passed sockets replace the configuration's addresses, but are written as there if they are
// the same.
func TestReplace(t *testing.T) {
	t.Parallel()
	passedAt := func() net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		return l
	}
	known, other, table := passedAt(), passedAt(), passedAt()
	named := func(l net.Listener) config.Address {
		return config.Address{Network: config.TCP, Address: fmt.Sprintf("[::ffff:127.0.0.1]:%d", l.Addr().(*net.TCPAddr).Port)}
	}
	cfg := config.Listen{Socketmap: []config.Address{named(known)}, TCPTable: []config.TCPTable{{Address: named(table), Map: "tlsrpt"}}}
	got := passed{socketmapName: {known, other}, tcpTableName: {table}}.replace(t.Context(), cfg)
	want := config.Listen{Socketmap: []config.Address{named(known), address(other)}, TCPTable: cfg.TCPTable}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if got := (passed{}).replace(t.Context(), cfg); !cmp.Equal(got, cfg) {
		t.Errorf("without passed sockets: %+v", got)
	}
}
