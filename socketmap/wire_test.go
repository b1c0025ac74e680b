package socketmap

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// dialogue is a sequence of requests and the replies to those that are complete.
type dialogue struct {
	protocol Protocol
	requests []string
	replies  []string
}

func dialogues() map[string]dialogue {
	return map[string]dialogue{
		"socketmap": {Netstrings(),
			[]string{"5:map a,", "10:map absent,", "3:map,", "14:map aaaaaaaaaa,", "4:map ,"},
			[]string{"4:OK a,", "9:NOTFOUND ,", "53:PERM " + errNoSpace.Error() + ",", "13:OK aaaaaaaaaa,", "3:OK ,"}},
		"tcp_table": {TCPTable("map"),
			[]string{"get a\n", "get absent\r\n", "put a b\n", "get %61a\r\n"},
			[]string{"200 a\n", "500 not%20found\n", "400 the%20request%20is%20not%20get,%20a%20space%20and%20a%20key\n", "200 aa\n"}},
	}
}

// expected returns the replies to the first n bytes of the requests.
func (d dialogue) expected(n int) string {
	complete := 0
	for complete < len(d.requests) && n >= len(d.requests[complete]) {
		n -= len(d.requests[complete])
		complete++
	}
	return strings.Join(d.replies[:complete], "")
}

// serveUnix serves a protocol on a unix socket and returns its path.
func serveUnix(t *testing.T, p Protocol) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	s := NewServer(p, &handler{}, NewConnections(100), time.Minute, slog.New(slog.DiscardHandler))
	go s.Serve(l)
	t.Cleanup(func() { s.Shutdown(context.Background()) })
	return path
}

func dialUnix(t *testing.T, path string) *net.UnixConn {
	t.Helper()
	nc, err := net.DialUnix("unix", nil, &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second)) // a hang becomes a failure
	t.Cleanup(func() { nc.Close() })
	return nc
}

// sendAndAwait writes to nc and returns when the server has read all of it.
func sendAndAwait(t *testing.T, nc *net.UnixConn, text string) {
	t.Helper()
	if _, err := io.WriteString(nc, text); err != nil {
		t.Fatal(err)
	}
	raw, err := nc.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server has read it", func() bool {
		unread := -1
		if err := raw.Control(func(fd uintptr) { unread, err = unix.IoctlGetInt(int(fd), unix.SIOCOUTQ) }); err != nil {
			t.Fatal(err)
		}
		return unread == 0
	})
}

// Requests mean the same wherever they are divided between two reads.
func TestEveryByteBoundary(t *testing.T) {
	t.Parallel()
	for name, d := range dialogues() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := serveUnix(t, d.protocol)
			all := strings.Join(d.requests, "")
			for n := range len(all) {
				nc := dialUnix(t, path)
				sendAndAwait(t, nc, all[:n])
				sendAndAwait(t, nc, all[n:])
				want := []byte(d.expected(len(all)))
				got := make([]byte, len(want))
				if _, err := io.ReadFull(nc, got); err != nil || !bytes.Equal(got, want) {
					t.Fatalf("divided after %d bytes: got %q, %v; want %q", n, got, err, want)
				}
			}
		})
	}
}

// A client that closes its side, wherever, gets the replies to the requests that
// are complete, and then the end.
func TestHalfCloseAtEveryByteBoundary(t *testing.T) {
	t.Parallel()
	for name, d := range dialogues() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := serveUnix(t, d.protocol)
			all := strings.Join(d.requests, "")
			for n := range len(all) + 1 {
				nc := dialUnix(t, path)
				if _, err := io.WriteString(nc, all[:n]); err != nil {
					t.Fatal(err)
				}
				nc.CloseWrite()
				got, err := io.ReadAll(nc)
				if want := d.expected(n); err != nil || string(got) != want {
					t.Fatalf("closed after %d bytes: got %q, %v; want %q", n, got, err, want)
				}
			}
		})
	}
}

// A client that reads slowly gets every byte, and disturbs no other.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	slow := b.dial(t)
	go slow.ask(slices.Repeat([]string{"big", "a"}, 50)...) // more than the system buffers
	first := make([]byte, 1)
	if _, err := io.ReadFull(slow.Conn, first); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server waits for the reader", func() bool {
		return b.only(t).writing.Load() != 0
	})
	other := b.dial(t)
	other.ask("b")
	other.expect("OK b")

	got := first
	want := strings.Repeat(string(Netstrings().appendReply(nil, Reply{OK, bytes.Repeat([]byte{'x'}, maxData)}))+"4:OK a,", 50)
	for chunk := make([]byte, 777); len(got) < len(want); {
		n, err := slow.Conn.Read(chunk)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, chunk[:n]...)
	}
	if string(got) != want {
		t.Error("the replies are not what they should be")
	}
}
