package socketmap

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"testing"
	"time"
)

// blockingHandler answers a lookup when the test releases it.
type blockingHandler struct{ began, release chan struct{} }

func (g blockingHandler) Answer(dst []byte, req *Request) (Reply, bool) {
	g.began <- struct{}{}
	<-g.release
	return Reply{OK, append(dst, req.Key...)}, true
}

func (g blockingHandler) Wait(context.Context, []byte, *Request) Reply {
	panic("every lookup is answered")
}

// answer releases the next lookup.
func (g blockingHandler) answer() {
	<-g.began
	g.release <- struct{}{}
}

func (b *bed) isDraining() bool { return b.server.accepting.Err() != nil }

// only returns the one connection that there is.
func (b *bed) only(t *testing.T) (only *conn) {
	eventually(t, "the connection is served", func() bool {
		b.server.conns.mu.Lock()
		defer b.server.conns.mu.Unlock()
		for only = range b.server.conns.conns {
		}
		return only != nil
	})
	return only
}

// The end of the stream, if it arrives together with the last request, wakes
// nobody when the wait follows a short read. The sweep finds it.
func TestEndThatComesWithARequest(t *testing.T) {
	t.Parallel()
	g := blockingHandler{make(chan struct{}), make(chan struct{})}
	b := newBedFor(t, g, 10, time.Minute)
	p := b.dial(t)
	c := b.only(t)
	eventually(t, "it waits after a short read", func() bool {
		p.ask("a")
		g.answer()
		p.expect("OK a")
		return c.socket.skipped.Load()
	})
	p.ask("b")
	<-g.began
	p.ask("c")
	p.Conn.(*net.TCPConn).CloseWrite()
	g.release <- struct{}{}
	g.answer()
	p.expect("OK b", "OK c")

	ended := make(chan error)
	go func() {
		_, err := p.in.ReadByte()
		ended <- err
	}()
	eventually(t, "the connection ends", func() bool {
		b.server.sweepAt(c.idleSince.Load() + 2*int64(sweepInterval))
		select {
		case err := <-ended:
			if err != io.EOF {
				t.Errorf("got %v, want the end", err)
			}
			return true
		default:
			return false
		}
	})
}

// A connection that is rechecked and has nothing to say stays.
func TestRecheckLeavesTheConnection(t *testing.T) {
	t.Parallel()
	b := newBed(t, 10, time.Minute)
	p := b.dial(t)
	c := b.only(t)
	for range 3 {
		eventually(t, "it waits after a short read", func() bool {
			p.ask("a")
			p.expect("OK a")
			return c.socket.skipped.Load()
		})
		b.server.sweepAt(c.idleSince.Load() + 2*int64(sweepInterval))
		eventually(t, "the kernel is asked", func() bool { return !c.socket.skipped.Load() })
	}
	p.ask("b")
	p.expect("OK b")
}

// A recheck takes nothing from the time in which requests under way still arrive.
func TestShutdownAfterARecheck(t *testing.T) {
	t.Parallel()
	for range 10 {
		b := newBed(t, 10, time.Minute)
		b.server.grace = time.Minute // on a busy machine the request is late
		p := b.dial(t)
		c := b.only(t)
		eventually(t, "it waits after a short read", func() bool {
			p.ask("a")
			p.expect("OK a")
			return c.socket.skipped.Load()
		})
		b.server.sweepAt(c.idleSince.Load() + 2*int64(sweepInterval))
		ctx, endGrace := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- b.server.Shutdown(ctx) }()
		eventually(t, "it is drained", b.isDraining)
		p.ask("b")
		p.expect("OK b")
		endGrace()
		p.expectEnd()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Shutdown: %v", err)
		}
	}
}

// Closing a connection does not wait for its lookup.
func TestCutDoesNotWait(t *testing.T) {
	t.Parallel()
	g := blockingHandler{make(chan struct{}), make(chan struct{})}
	b := newBedFor(t, g, 10, time.Minute)
	p := b.dial(t)
	p.ask("a")
	<-g.began
	b.server.conns.mu.Lock()
	for c := range b.server.conns.conns {
		c.cut()
	}
	b.server.conns.mu.Unlock()
	g.release <- struct{}{}
	if _, err := io.ReadAll(p.in); err != nil { // the reply may come, and then the end
		t.Error(err)
	}
}

// Shutdown ends a client that has more to read, too.
func TestShutdownDuringAFlood(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		title string
		cut   bool // with no time to drain
	}{{"drained", false}, {"cut", true}} {
		t.Run(tt.title, func(t *testing.T) {
			t.Parallel()
			g := blockingHandler{make(chan struct{}), make(chan struct{})}
			b := newBedFor(t, g, 10, time.Minute)
			p := b.dial(t)
			c := b.only(t)
			p.ask(slices.Repeat([]string{"a"}, minBuffer)...)
			<-g.began
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if tt.cut {
				cancel()
			}
			done := make(chan struct{})
			go func() {
				defer close(done)
				b.server.Shutdown(ctx)
			}()
			if tt.cut {
				eventually(t, "it is closed", func() bool {
					return errors.Is(c.socket.SetWriteDeadline(time.Time{}), net.ErrClosed)
				})
			} else {
				eventually(t, "it is drained", b.isDraining)
				<-time.After(2 * drainGrace)
			}
			close(g.release)
			for answered := 1; ; answered++ {
				select {
				case <-g.began:
					continue
				case <-done:
				}
				if most := minBuffer / len(appendRequest(nil, "map", "a")); answered > most {
					t.Errorf("%d lookups are answered, want at most the %d that were read", answered, most)
				}
				return
			}
		})
	}
}
