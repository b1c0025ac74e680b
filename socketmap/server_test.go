package socketmap

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// handler answers "found" with OK and "big" with much data from memory;
// "slow…" waits until release is closed.
type handler struct {
	release chan struct{}
	started atomic.Int32 // slow lookups so far
}

func (h *handler) Answer(dst []byte, req *Request) (Reply, bool) {
	switch key := req.Key; {
	case strings.HasPrefix(key, "slow"):
		return Reply{Data: dst}, false
	case key == "big":
		return Reply{OK, append(dst, bytes.Repeat([]byte{'x'}, maxData)...)}, true
	case key == "absent":
		return Reply{NotFound, dst}, true
	default:
		return Reply{OK, append(dst, req.Key...)}, true
	}
}

func (h *handler) Wait(ctx context.Context, dst []byte, req *Request) Reply {
	h.started.Add(1)
	select {
	case <-h.release:
		return Reply{OK, append(dst, req.Key...)}
	case <-ctx.Done():
		return Reply{Temp, append(dst, "given up"...)}
	}
}

// bed is a server on loopback, or on pipes, with its log.
type bed struct {
	*handler
	server *Server
	addr   string
	pipes  *pipes // nil: loopback
	log    *lockedBuffer
	served chan error
}

func newBed(t testing.TB, maxConnections int, idle time.Duration) *bed {
	t.Helper()
	h := &handler{release: make(chan struct{})}
	b := newBedFor(t, h, maxConnections, idle)
	b.handler = h
	return b
}

func newBedFor(t testing.TB, h Handler, maxConnections int, idle time.Duration) *bed {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &bed{addr: l.Addr().String(), log: &lockedBuffer{}, served: make(chan error, 1)}
	logger := slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	b.server = NewServer(Netstrings(), h, NewConnections(maxConnections), idle, logger)
	go func() { b.served <- b.server.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		b.server.Shutdown(ctx)
	})
	return b
}

// peer speaks raw bytes.
type peer struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

func (b *bed) dial(t testing.TB) *peer {
	t.Helper()
	var nc net.Conn
	var err error
	if b.pipes != nil {
		nc = b.pipes.dial()
	} else if nc, err = net.Dial("tcp", b.addr); err != nil {
		t.Fatal(err)
	}
	nc.SetDeadline(time.Now().Add(20 * time.Second)) // a hang becomes a failure
	t.Cleanup(func() { nc.Close() })
	return &peer{t, nc, bufio.NewReader(nc)}
}

func (p *peer) send(s string) {
	p.t.Helper()
	if _, err := io.WriteString(p.Conn, s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) ask(keys ...string) {
	p.t.Helper()
	var out []byte
	for _, key := range keys {
		out = appendRequest(out, "map", key)
	}
	p.send(string(out))
}

func (p *peer) expect(replies ...string) {
	p.t.Helper()
	for _, want := range replies {
		wire := fmt.Sprintf("%d:%s,", len(want), want)
		got := make([]byte, len(wire))
		if _, err := io.ReadFull(p.in, got); err != nil || string(got) != wire {
			p.t.Fatalf("got %q, %v; want %q", got, err, wire)
		}
	}
}

func (p *peer) expectEnd() {
	p.t.Helper()
	if rest, err := io.ReadAll(p.in); err != nil || len(rest) > 0 {
		p.t.Fatalf("got %q, %v; want the end", rest, err)
	}
}

func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !condition(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never came true: %s", what)
		}
	}
}

func TestServerAnswers(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	p := b.dial(t)
	p.ask("a")
	p.expect("OK a")
	p.ask("absent")
	p.expect("NOTFOUND ")
	p.ask("b", "absent", "c")
	p.expect("OK b", "NOTFOUND ", "OK c")
	p.send("5:nokey,")
	p.expect("PERM " + errNoSpace.Error())
	p.ask("big", "d", "big")
	big := "OK " + strings.Repeat("x", maxData)
	p.expect(big, "OK d", big)
}

func TestServerReadsByteByByte(t *testing.T) {
	t.Parallel()
	p := newBed(t, 10, time.Minute).dial(t)
	for _, c := range "5:map a,5:map b," {
		p.send(string(c))
	}
	p.expect("OK a", "OK b")
}

func TestServerReadsTheLongestRequest(t *testing.T) {
	t.Parallel()
	p := newBed(t, 10, time.Minute).dial(t)
	key := strings.Repeat("k", MaxRequest-len("map "))
	p.ask(key, "a", key)
	p.expect("OK "+key, "OK a", "OK "+key)
}

func TestServerKeepsOrderAndSendsWhatIsReady(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	p := b.dial(t)
	p.ask("a", "slow1", "b", "slow2", "c")
	p.expect("OK a") // though slow1 is still waiting
	eventually(t, "both slow lookups wait at once", func() bool { return b.started.Load() == 2 })
	close(b.release)
	p.expect("OK slow1", "OK b", "OK slow2", "OK c")
	p.ask("d")
	p.expect("OK d")
}

func TestServerBoundsWhatWaits(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	p := b.dial(t)
	var keys, replies []string
	for i := range maxInFlight + 4 {
		keys = append(keys, "slow"+strconv.Itoa(i))
		replies = append(replies, "OK slow"+strconv.Itoa(i))
	}
	p.ask(keys...)
	eventually(t, "the first lookups wait", func() bool { return b.started.Load() == maxInFlight })
	other := b.dial(t)
	other.ask("a")
	other.expect("OK a")
	if n := b.started.Load(); n != maxInFlight {
		t.Errorf("%d lookups wait at once, want %d", n, maxInFlight)
	}
	close(b.release)
	p.expect(replies...)
}

func TestServerClosesOnMalformedBytes(t *testing.T) {
	t.Parallel()
	for name, bytes := range map[string]string{
		"no netstring": "GET / HTTP/1.1\r\n\r\n",
		"too long":     "10001:",
		"no comma":     "5:map ab",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := newBed(t, 10, time.Minute)
			other := b.dial(t)
			other.ask("slow")
			p := b.dial(t)
			p.ask("a", "slow")
			p.send(bytes)
			p.expect("OK a")
			eventually(t, "both wait", func() bool { return b.started.Load() == 2 })
			close(b.release)
			p.expect("OK slow") // asked before the bytes went wrong
			p.expectEnd()
			other.expect("OK slow")
			other.ask("b")
			other.expect("OK b")
			eventually(t, "the log names it", func() bool { return strings.Contains(b.log.String(), "malformed") })
			if n := strings.Count(b.log.String(), "malformed"); n != 1 {
				t.Errorf("logged %d times:\n%s", n, b.log)
			}
		})
	}
}

func TestServerAnswersAClientThatHasClosedItsSide(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	p := b.dial(t)
	p.ask("a", "slow", "b")
	p.Conn.(*net.TCPConn).CloseWrite()
	eventually(t, "the lookup waits", func() bool { return b.started.Load() == 1 })
	close(b.release)
	p.expect("OK a", "OK slow", "OK b")
	p.expectEnd()
}

func TestShutdownAnswersWhatWasAsked(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	idle := b.dial(t)
	idle.ask("a")
	idle.expect("OK a")
	p := b.dial(t)
	p.ask("slow")
	eventually(t, "the lookup waits", func() bool { return b.started.Load() == 1 })

	ended := make(chan error)
	go func() { ended <- b.server.Shutdown(t.Context()) }()
	if err := <-b.served; err != nil {
		t.Errorf("Serve: %v", err)
	}
	idle.expectEnd()
	p.ask("b") // sent before the end is known to the client
	close(b.release)
	p.expect("OK slow")
	if err := <-ended; err != nil {
		t.Errorf("Shutdown: %v", err)
	}
	if nc, err := net.Dial("tcp", b.addr); err == nil {
		nc.Close()
		t.Error("the server still listens")
	}
}

func TestShutdownCutsOffAtItsLimit(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	p := b.dial(t)
	p.ask("slow")
	eventually(t, "the lookup waits", func() bool { return b.started.Load() == 1 })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := b.server.Shutdown(ctx); err == nil || !strings.Contains(err.Error(), "1 connections") {
		t.Errorf("Shutdown: %v", err)
	}
}

func TestServeSaysWhenItsListenerIsTakenAway(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	s := NewServer(Netstrings(), &handler{}, NewConnections(1), time.Minute, slog.New(slog.DiscardHandler))
	if err := s.Serve(l); err == nil {
		t.Error("Serve returned nil")
	}
	s.Shutdown(t.Context())
	if err := s.Serve(l); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("after Shutdown: %v", err)
	}
}
