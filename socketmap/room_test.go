package socketmap

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// lookupTime is how long slow lookups of a laggard take.
const lookupTime = 5 * time.Second

// laggard answers like handler, except that slow lookups end by themselves.
type laggard struct {
	handler
	mu             sync.Mutex
	underWay, most int
}

func (l *laggard) Wait(ctx context.Context, dst []byte, req *Request) Reply {
	l.add(1)
	defer l.add(-1)
	select {
	case <-time.After(lookupTime):
		return Reply{OK, append(dst, req.Key...)}
	case <-ctx.Done():
		return Reply{Temp, append(dst, "given up"...)}
	}
}

func (l *laggard) add(n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.underWay += n
	l.most = max(l.most, l.underWay)
}

// mostUnderWay returns how many lookups waited at the same time.
func (l *laggard) mostUnderWay() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.most
}

// inFakeTime runs test with a server on pipes.
func inFakeTime(t *testing.T, limit int, test func(t *testing.T, b *bed, slow *laggard)) {
	synctest.Test(t, func(t *testing.T) {
		slow := &laggard{}
		b := &bed{pipes: newPipes()}
		b.server = NewServer(Netstrings(), slow, NewConnections(limit), time.Hour, slog.New(slog.DiscardHandler))
		go b.server.Serve(b.pipes)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		defer b.server.Shutdown(ctx)
		test(t, b, slow)
	})
}

// occupy opens n connections that ask slow names.
func occupy(t *testing.T, b *bed, n int) (busy []*peer) {
	for i := range n {
		p := b.dial(t)
		p.SetDeadline(time.Time{})
		p.ask(fmt.Sprint("slow", i))
		synctest.Wait() // they are served in their order
		busy = append(busy, p)
	}
	return busy
}

// New connections do not close each other while all others have lookups under way,
// however many they are.
func TestNewConnectionsKeepTheirPlace(t *testing.T) {
	for _, tc := range []struct {
		fresh int
		pause time.Duration // between connect and request
	}{{20, time.Millisecond}, {20, protectedTime / 2}, {500, time.Millisecond}, {500, protectedWhenFull / 2}} {
		inFakeTime(t, 20, func(t *testing.T, b *bed, _ *laggard) {
			busy := occupy(t, b, 19)
			time.Sleep(2 * protectedTime)
			var fresh sync.WaitGroup
			for range tc.fresh {
				fresh.Go(func() {
					p := b.dial(t)
					time.Sleep(tc.pause)
					p.ask("a")
					p.expect("OK a")
				})
				time.Sleep(time.Millisecond / 2)
			}
			fresh.Wait()
			for i, p := range busy {
				p.expect(fmt.Sprint("OK slow", i))
			}
		})
	}
}

// Lookups that memory can answer do not wait behind slow ones, and a slow one is
// answered too, whatever one client does with all other connections.
func TestBusyClientKeepsNoLookupOut(t *testing.T) {
	const limit = 20
	for _, tc := range []struct {
		title       string
		connections int
		pipelined   int
		warm, slow  time.Duration // limits of the time until others are answered
	}{
		{"as many connections as allowed, staggered", limit, 1, time.Millisecond, 2 * lookupTime},
		{"the same, pipelined", limit, maxInFlight, time.Millisecond, 3 * lookupTime},
		{"more", limit + overLimit/2, 1, time.Millisecond, 4 * lookupTime},
		{"all there are", limit + overLimit, 1, 2 * lookupTime, 8 * lookupTime},
		{"all there are, pipelined", limit + overLimit, maxInFlight, 2 * lookupTime, 8 * lookupTime},
	} {
		t.Run(tc.title, func(t *testing.T) {
			inFakeTime(t, limit, func(t *testing.T, b *bed, slow *laggard) {
				ctx, stop := context.WithCancel(t.Context())
				var flood sync.WaitGroup
				defer flood.Wait()
				defer stop()
				for range tc.connections {
					flood.Go(func() { insist(b, ctx, tc.pipelined) })
					time.Sleep(lookupTime / time.Duration(tc.connections))
				}
				for range 5 {
					for key, most := range map[string]time.Duration{"a": tc.warm, "slow": tc.slow} {
						start := time.Now()
						p := b.dial(t)
						p.SetDeadline(start.Add(time.Hour))
						p.ask(key)
						p.expect("OK " + key)
						if took := time.Since(start); took > most {
							t.Errorf("%s: answered after %v", key, took)
						}
						p.Close()
					}
				}
				if n := slow.mostUnderWay(); n > limit*tc.pipelined {
					t.Errorf("%d slow lookups at the same time", n)
				}
			})
		})
	}
}

// insist keeps so many slow lookups under way until ctx ends, and connects
// again whenever its connection is closed.
func insist(b *bed, ctx context.Context, pipelined int) {
	request := appendRequest(nil, "map", "slow")
	reply := make([]byte, len("7:OK slow,"))
	for {
		nc := b.pipes.dial()
		ended := context.AfterFunc(ctx, func() { nc.Close() })
		answered := make(chan struct{}, pipelined)
		for range pipelined {
			answered <- struct{}{}
		}
		var writing sync.WaitGroup
		writing.Go(func() {
			for range answered {
				nc.Write(request)
			}
		})
		for err := error(nil); err == nil; answered <- struct{}{} {
			_, err = io.ReadFull(nc, reply)
		}
		close(answered)
		nc.Close()
		writing.Wait()
		if !ended() {
			return
		}
	}
}

// At the limit, the connection that is worth least makes room.
func TestServerMakesRoom(t *testing.T) {
	silent := func(*peer) {}
	partial := func(p *peer) { p.send("9:half a ") }
	served := func(p *peer) { p.ask("a"); p.expect("OK a") }
	servedThenPartial := func(p *peer) { served(p); partial(p) }
	unread := func(p *peer) { p.ask("a") }
	busy := func(p *peer) { p.ask("slow") }
	const late, none = protectedTime, -1
	for _, tc := range []struct {
		title  string
		behave []func(*peer) // one second apart
		wait   time.Duration // then
		closed int           // none: all stay
	}{
		{"the one idle longest", []func(*peer){served, served, served}, late, 0},
		{"not a busy one", []func(*peer){busy, served, served}, late, 1},
		{"a silent one first", []func(*peer){served, busy, silent}, late, 2},
		{"the longest silent one", []func(*peer){served, silent, silent}, late, 1},
		{"half a request", []func(*peer){served, served, partial}, late, 2},
		{"half a request after a whole one", []func(*peer){served, servedThenPartial, served}, late, 1},
		{"one that does not read", []func(*peer){served, unread, served}, late, 1},
		{"no new one", []func(*peer){busy, busy, silent}, protectedTime / 2, none},
		{"no new one that was served", []func(*peer){busy, busy, served}, protectedTime / 2, none},
		{"none of three busy ones", []func(*peer){busy, busy, busy}, late, none},
	} {
		t.Run(tc.title, func(t *testing.T) {
			inFakeTime(t, len(tc.behave), func(t *testing.T, b *bed, _ *laggard) {
				var peers []*peer
				for i, behave := range tc.behave {
					if i > 0 {
						time.Sleep(time.Second)
					}
					peers = append(peers, b.dial(t))
					behave(peers[i])
					synctest.Wait()
				}
				time.Sleep(tc.wait)
				late := b.dial(t)
				late.ask("late")
				late.expect("OK late")
				for i, p := range peers {
					p.SetReadDeadline(time.Now().Add(time.Millisecond))
					_, err := p.in.Peek(1)
					if closed := err != nil && !errors.Is(err, os.ErrDeadlineExceeded); closed != (i == tc.closed) {
						t.Errorf("connection %d: closed %v (%v)", i, closed, err)
					}
				}
			})
		})
	}
}

// A lookup over the limit that has to wait gets the next free place; those that
// memory answers need none.
func TestPlaces(t *testing.T) {
	inFakeTime(t, 2, func(t *testing.T, b *bed, slow *laggard) {
		start := time.Now()
		busy := occupy(t, b, 2)
		over := occupy(t, b, 3)
		if n := slow.mostUnderWay(); n != 2 {
			t.Errorf("%d lookups are under way, want 2", n)
		}
		warm := b.dial(t)
		warm.ask("a", "slow", "b")
		warm.expect("OK a") // sent before the wait
		busy[0].expect("OK slow0")
		if took := time.Since(start); took != lookupTime {
			t.Errorf("the first reply came after %v", took)
		}
		busy[1].expect("OK slow1")
		for i, p := range over {
			p.expect(fmt.Sprint("OK slow", i))
		}
		if took := time.Since(start); took != 3*lookupTime {
			t.Errorf("the last reply came after %v", took)
		}
		warm.expect("OK slow", "OK b")
		if n := slow.mostUnderWay(); n != 2 {
			t.Errorf("%d lookups were under way at the same time, want 2", n)
		}
	})
}

// Shutdown does not wait for lookups that have no place when its time is over.
func TestShutdownWithoutPlaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := &laggard{}
		b := &bed{pipes: newPipes()}
		b.server = NewServer(Netstrings(), slow, NewConnections(1), time.Hour, slog.New(slog.DiscardHandler))
		go b.server.Serve(b.pipes)
		peers := occupy(t, b, 5)
		ctx, cancel := context.WithTimeout(t.Context(), 2*lookupTime)
		defer cancel()
		for _, p := range peers {
			go io.Copy(io.Discard, p)
		}
		start := time.Now()
		if err := b.server.Shutdown(ctx); err == nil {
			t.Error("Shutdown has answered what it could not")
		}
		if took := time.Since(start); took != 2*lookupTime {
			t.Errorf("Shutdown took %v", took)
		}
	})
}

// However many clients are silent, a lookup waits for a moment at most.
func TestSilentClientsKeepNoLookupOut(t *testing.T) {
	const room, idlers = 100, 1000
	inFakeTime(t, room, func(t *testing.T, b *bed, _ *laggard) {
		for i := range idlers {
			p := b.dial(t)
			switch i % 3 {
			case 1:
				p.ask("a") // and never reads
			case 2:
				p.send("9999:half a requ")
			}
			if i%100 == 99 {
				start := time.Now()
				late := b.dial(t)
				late.ask("late")
				late.expect("OK late")
				if took := time.Since(start); took > protectedWhenFull+2*roomRetry {
					t.Errorf("answered after %v", took)
				}
			}
		}
		b.server.conns.mu.Lock()
		defer b.server.conns.mu.Unlock()
		if n := len(b.server.conns.conns); n > room+overLimit {
			t.Errorf("%d connections are kept, want at most %d", n, room+overLimit)
		}
	})
}

// Two servers share the limit: a connection that is idle at one makes room at the
// other.
func TestServersShareTheirRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conns := NewConnections(2)
		serve := func(p Protocol) *bed {
			b := &bed{pipes: newPipes()}
			b.server = NewServer(p, &handler{}, conns, 0, slog.New(slog.DiscardHandler))
			go b.server.Serve(b.pipes)
			return b
		}
		netstrings, table := serve(Netstrings()), serve(TCPTable("map"))
		defer netstrings.server.Shutdown(t.Context())
		defer table.server.Shutdown(t.Context())
		first := table.dial(t)
		first.send("get a\n")
		if line, err := first.in.ReadString('\n'); line != "200 a\n" {
			t.Fatalf("%q, %v", line, err)
		}
		for range 2 {
			time.Sleep(protectedTime)
			p := netstrings.dial(t)
			p.ask("b")
			p.expect("OK b")
		}
		first.expectEnd()
	})
}
