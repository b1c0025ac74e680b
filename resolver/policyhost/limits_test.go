package policyhost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

// numbered returns the domain with that number.
func numbered(tb testing.TB, n int) mtasts.Domain { return domain(tb, fmt.Sprintf("d%d.example", n)) }

// mustEnter takes a place that has to be free.
func mustEnter(t *testing.T, l *limits, d mtasts.Domain, addr netip.Addr) *place {
	t.Helper()
	p, _, err := l.tryEnter(d, addr)
	if p == nil {
		t.Fatalf("%v at %v: no place, %v", d, addr, err)
	}
	return p
}

// mustWait checks that a fetch gets no place while nothing changes.
func mustWait(t *testing.T, l *limits, d mtasts.Domain, addr netip.Addr) {
	t.Helper()
	start := time.Now()
	_, err := l.enter(t.Context(), d, addr)
	if faultOf(err) != FaultLoad || time.Since(start) != maxWait {
		t.Errorf("%v at %v: %v after %v, want it refused for load after %v", d, addr, err, time.Since(start), maxWait)
	}
}

// pipe is a connection to nobody.
func pipe(t *testing.T) net.Conn {
	conn, other := net.Pipe()
	t.Cleanup(func() { conn.Close(); other.Close() })
	return conn
}

var testAddr = netip.MustParseAddr("192.0.2.1")

func TestHandshakeLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimits()
		var places []*place
		for n := range maxHandshakes {
			places = append(places, mustEnter(t, l, numbered(t, n), testAddr))
		}
		next := numbered(t, maxHandshakes)
		mustWait(t, l, next, testAddr)
		mustEnter(t, l, next, testAddr.Next()).leave()

		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), time.Second, gone)
		defer cancel()
		if _, err := l.enter(ctx, next, testAddr); !errors.Is(err, gone) {
			t.Errorf("a caller that gives up: %v, want its cause", err)
		}

		time.AfterFunc(time.Second, places[0].established)
		ninth, err := l.enter(t.Context(), next, testAddr)
		if err != nil {
			t.Fatalf("when one handshake has ended: %v", err)
		}
		time.AfterFunc(time.Second, ninth.leave)
		if places[0], err = l.enter(t.Context(), numbered(t, 99), testAddr); err != nil {
			t.Fatalf("when one connection is closed: %v", err)
		}
		mustWait(t, l, next, testAddr)
	})
}

func TestConnectionLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := newLimits()
		for n := range maxConnections {
			mustEnter(t, l, numbered(t, n), testAddr).established()
		}
		mustWait(t, l, numbered(t, maxConnections), testAddr)
	})
}

// A domain has one connection to an address; another of its fetches waits for it.
func TestOneConnectionForEachDomain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, d := newLimits(), numbered(t, 0)
		p := mustEnter(t, l, d, testAddr)
		mustWait(t, l, d, testAddr)
		mustEnter(t, l, d, testAddr.Next())
		time.AfterFunc(time.Second, p.leave)
		if _, err := l.enter(t.Context(), d, testAddr); err != nil {
			t.Errorf("when its own other fetch is done: %v", err)
		}
	})
}

// Connections that are slow make room when another domain's fetch waits: the one
// whose TCP connect was answered first.
func TestSlowConnectionMakesRoom(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		places      int
		established bool
	}{
		"in the TLS handshake":     {maxHandshakes, false},
		"waiting for the response": {maxConnections, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimits()
				var places []*place
				for n := range c.places {
					p := mustEnter(t, l, numbered(t, n), testAddr)
					if n > 0 { // the first is still in the TCP handshake
						p.connected(pipe(t))
					}
					if c.established {
						p.established()
					}
					places = append(places, p)
					time.Sleep(time.Millisecond)
				}
				time.Sleep(slowAfter / 2)
				start := time.Now()
				for n := range 3 {
					if _, err := l.enter(t.Context(), numbered(t, c.places+n), testAddr); err != nil {
						t.Fatal(err)
					}
				}
				if waited := time.Since(start); waited > slowAfter/2 {
					t.Errorf("waited %v, want at most %v", waited, slowAfter/2)
				}
				gone := errors.New("connection closed")
				for n, p := range places {
					closed := 1 <= n && n <= 3
					if got := p.orTooSlow(gone) == errTooSlow; got != closed {
						t.Errorf("connection %d closed in favour of another: %v, want %v", n, got, closed)
					}
					if _, err := p.connWrite(); closed != (err != nil) {
						t.Errorf("connection %d: %v, want it closed: %v", n, err, closed)
					}
					p.established() // what its fetch does later changes nothing
					p.leave()
				}
				if a := l.addresses[testAddr]; a == nil || len(a.places) != 3 || a.handshakes != 3 {
					t.Errorf("%+v, want the three that came later", a)
				}
			})
		})
	}
}

// connWrite tries to write to the connection in no time.
func (p *place) connWrite() (int, error) {
	if p.conn == nil {
		return 0, nil
	}
	p.conn.SetWriteDeadline(time.Now().Add(time.Millisecond))
	n, err := p.conn.Write([]byte{0})
	if netErr, ok := errors.AsType[net.Error](err); ok && netErr.Timeout() {
		return n, nil // open, and nobody reads
	}
	return n, err
}

// Whatever fetches do in whatever order, no limit is exceeded, a domain that is
// refused found the address full, and nothing is left when all are done.
func TestLimitsHold(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	l := newLimits()
	addrs := []netip.Addr{testAddr, netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")}
	type key struct {
		addr netip.Addr
		d    mtasts.Domain
	}
	open := map[key]*place{}
	count := func(addr netip.Addr, handshake bool) (n int) {
		for k, p := range open {
			if k.addr == addr && (!handshake || p.handshake) {
				n++
			}
		}
		return n
	}
	most, mostHandshakes := 0, 0
	for range 50_000 {
		k := key{addrs[random.IntN(len(addrs))], numbered(t, random.IntN(2*maxConnections))}
		p := open[k]
		switch random.IntN(6) {
		case 0, 1, 2:
			handshakes, all := count(k.addr, true), count(k.addr, false)
			got, _, err := l.tryEnter(k.d, k.addr)
			if want := p == nil && handshakes < maxHandshakes && all < maxConnections; err != nil || (got != nil) != want {
				t.Fatalf("with %d handshakes, %d connections, %v of this domain: %v, %v; want a place: %v", handshakes, all, p, got, err, want)
			}
			if got != nil {
				open[k] = got
				most, mostHandshakes = max(most, all+1), max(mostHandshakes, handshakes+1)
			}
		case 3, 4:
			if p != nil {
				p.established()
			}
		case 5:
			if p != nil && random.IntN(8) == 0 {
				p.leave()
				p.leave()
				delete(open, k)
			}
		}
	}
	if most != maxConnections || mostHandshakes != maxHandshakes {
		t.Errorf("at most %d connections and %d handshakes, want %d, %d: the test does not reach the limits", most, mostHandshakes, maxConnections, maxHandshakes)
	}
	for _, p := range open {
		p.leave()
	}
	if len(l.addresses) != 0 || len(l.networks) != 0 {
		t.Errorf("%d addresses, %d networks left", len(l.addresses), len(l.networks))
	}
}

// However a connection ends, its place becomes free.
func TestConnectionLeavesItsPlace(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		host resolvertest.Behaviour
		end  func(*policyConn)
	}{
		"used":           {resolvertest.HostPolicy(testPolicy), func(c *policyConn) { c.Close() }},
		"came too late":  {resolvertest.HostPolicy(testPolicy), (*policyConn).abandon},
		"never made":     {resolvertest.HostCloses(), nil},
		"not that host":  {resolvertest.HostWrongName(testPolicy), nil},
		"not acceptable": {resolvertest.HostExpired(testPolicy), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			hosts.Handle(testDomain, tc.host)
			client := New(options(ca, hosts))
			conn, err := client.attempt(t.Context(), dialTCP, ca.Pool(), domain(t, testDomain), hosts.Addr(), func(attemptState) {})
			if (err != nil) != (tc.end == nil) {
				t.Fatal(err)
			}
			if tc.end != nil {
				if len(client.limits.addresses) != 1 {
					t.Error("the connection has no place")
				}
				tc.end(conn)
			}
			if len(client.limits.addresses) != 0 {
				t.Error("its place is not free")
			}
		})
	}
}
