package policyhost

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
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

func TestSilentAddress(t *testing.T) {
	t.Parallel()
	const answered, closed, silence = "answered", "refused", "unanswered"
	a, b := 1, 2
	type connect struct {
		domain int
		end    string
	}
	for name, c := range map[string]struct {
		connects []connect
		silent   bool
	}{
		"two domains":        {[]connect{{a, silence}, {a, silence}, {b, silence}}, true},
		"one domain":         {[]connect{{a, silence}, {a, silence}, {a, silence}, {a, silence}}, false},
		"too few":            {[]connect{{a, silence}, {b, silence}}, false},
		"an answer between":  {[]connect{{a, silence}, {b, silence}, {a, answered}, {a, silence}, {b, silence}}, false},
		"a refusal between":  {[]connect{{a, silence}, {b, silence}, {a, closed}, {a, silence}, {b, silence}}, false},
		"other domain later": {[]connect{{a, silence}, {a, silence}, {a, silence}, {a, silence}, {b, silence}}, true},
		"answered before":    {[]connect{{a, answered}, {a, silence}, {b, silence}, {a, silence}}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				l := newLimits()
				connect := func(d mtasts.Domain, end string) {
					t.Helper()
					p := mustEnter(t, l, d, testAddr)
					defer p.leave()
					switch end {
					case answered:
						p.connected(pipe(t))
					case closed:
						p.refused()
					case silence:
						p.unanswered()
					}
				}
				expect := func(silent bool) {
					t.Helper()
					p, err := l.enter(t.Context(), numbered(t, 3), testAddr)
					if (err == errSilent) != silent {
						t.Errorf("%v, want it silent: %v", err, silent)
					}
					if err == nil {
						p.leave()
					}
				}
				for _, x := range c.connects {
					connect(numbered(t, x.domain), x.end)
				}
				expect(c.silent)
				mustEnter(t, l, numbered(t, 3), testAddr.Next()).leave()
				if !c.silent {
					return
				}
				// One try a minute for all domains, also if nothing comes of it.
				time.Sleep(silentRetry)
				expect(false)
				expect(true)
				time.Sleep(silentRetry)
				connect(numbered(t, 4), silence)
				expect(true)
				time.Sleep(silentRetry)
				connect(numbered(t, 4), answered)
				expect(false)
				expect(false)
			})
		})
	}
}

// What is remembered of silent addresses is bounded.
func TestUnansweredIsBounded(t *testing.T) {
	t.Parallel()
	l := newLimits()
	addr := netip.MustParseAddr("2001:db8::")
	for range 2 * maxUnanswered {
		p := l.add(numbered(t, 0), addr)
		p.unanswered()
		p.leave()
		addr = addr.Next()
	}
	if n := l.unanswered.Len(); n != maxUnanswered {
		t.Errorf("%d addresses remembered, want %d", n, maxUnanswered)
	}
}

// In an IPv6 network with many handshakes a domain has one at a time. So nobody's
// many addresses there keep another domain out.
func TestNetworkLimit(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l, flood := newLimits(), numbered(t, 0)
		addr := netip.MustParseAddr("2001:db8:1::")
		first := mustEnter(t, l, flood, addr)
		fill := func() (places []*place) {
			for range maxNetworkHandshakes - 1 {
				addr = addr.Next()
				places = append(places, mustEnter(t, l, flood, addr))
			}
			return places
		}
		for _, p := range fill() {
			p.leave()
		}
		fill() // the first still counts
		mustWait(t, l, flood, addr.Next())
		mustEnter(t, l, flood, netip.MustParseAddr("2001:db8:2::1"))

		other := numbered(t, 1)
		p := mustEnter(t, l, other, addr.Next())
		mustWait(t, l, other, addr.Next().Next())
		time.AfterFunc(time.Second, p.established)
		if _, err := l.enter(t.Context(), other, addr.Next().Next()); err != nil {
			t.Errorf("when its own handshake has ended: %v", err)
		}
		time.AfterFunc(time.Second, first.leave)
		// Still one too many: the network has as many as before the other domain.
		mustWait(t, l, flood, addr.Next().Next().Next())
	})
}

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1":            "invalid Prefix",
		"64:ff9b::c000:201":    "invalid Prefix",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1::/48",
		"64:ff9b:1::c000:201":  "64:ff9b:1::/48",
	} {
		if got := networkOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s counts with %v, want %s", addr, got, want)
		}
	}
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

// Any number of domains may name one host: it never gets more than maxHandshakes
// handshakes at once, and every domain is served.
func TestFetchFlood(t *testing.T) {
	t.Parallel()
	const domains = 5 * maxHandshakes
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	var open, most atomic.Int32
	var once sync.Once
	full := make(chan struct{})
	host := resolvertest.HostPolicy(testPolicy)
	host.BeforeHandshake = func(net.Conn) {
		n := open.Add(1)
		defer open.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		if n == maxHandshakes {
			once.Do(func() { close(full) })
		}
		<-full
	}
	client := New(options(ca, hosts))
	var running sync.WaitGroup
	for n := range domains {
		d := numbered(t, n)
		hosts.Handle(d.String(), host)
		running.Go(func() {
			if _, err := client.Fetch(t.Context(), d); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if most.Load() != maxHandshakes {
		t.Errorf("%d handshakes at once, want %d", most.Load(), maxHandshakes)
	}
}

// Domains whose hosts are slow keep no other domain of the same address out,
// however many they are.
func TestSlowDomainsKeepNoneOut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		slow int
		host resolvertest.Behaviour
	}{
		"drip the body":         {maxConnections, resolvertest.HostDripsBody()},
		"hang in the handshake": {maxHandshakes, resolvertest.HostHangsInHandshake()},
		"a few drip":            {maxHandshakes + 1, resolvertest.HostDripsBody()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			var arrived sync.WaitGroup
			arrived.Add(c.slow)
			host := c.host
			respond, before := host.Respond, host.BeforeHandshake
			host.BeforeHandshake = func(conn net.Conn) {
				if respond == nil {
					arrived.Done()
				}
				if before != nil {
					before(conn)
				}
			}
			host.Respond = func(x *resolvertest.HostExchange) {
				arrived.Done()
				respond(x)
			}
			client := New(options(ca, hosts))
			results := make(chan error, c.slow)
			var running sync.WaitGroup
			defer running.Wait()
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for n := range c.slow {
				d := numbered(t, n)
				hosts.Handle(d.String(), host)
				running.Go(func() {
					_, err := client.Fetch(ctx, d)
					results <- err
				})
			}
			arrived.Wait()
			hosts.Serve(testDomain, testPolicy)
			if _, err := client.Fetch(t.Context(), domain(t, testDomain)); err != nil {
				t.Errorf("a healthy domain: %v", err)
			}
			if c.slow == maxHandshakes+1 {
				return // there was room
			}
			err := <-results // of the one that made room
			if _, fault := Classify(err); !errors.Is(err, errTooSlow) || fault != FaultPublisher || errors.Is(err, ErrBusy) {
				t.Errorf("a slow domain: %v, fault %v", err, fault)
			}
		})
	}
}

// silentAddr returns an address that answers no TCP connect: a listener whose
// queue of connections is full.
func silentAddr(t *testing.T) netip.AddrPort {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Close(fd) })
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	name, err := syscall.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(name.(*syscall.SockaddrInet4).Port))
	for range 10 {
		conn, err := net.DialTimeout("tcp", addr.String(), 200*time.Millisecond)
		if err != nil {
			return addr
		}
		t.Cleanup(func() { conn.Close() })
	}
	t.Fatal("the listener's queue does not become full")
	return addr
}

// An address that answers no connect is the publisher's fault at every fetch, and
// fails at once when it is known.
func TestFetchSilentAddress(t *testing.T) {
	t.Parallel()
	at := silentAddr(t)
	client := New(Options{
		Addresses:       addresses(at.Addr().String()),
		AllowNetworks:   []netip.Prefix{loopback},
		TestingOnlyPort: at.Port(),
		Timeout:         4 * time.Second, // the connects have half of it
	})
	const domains = 3 * maxHandshakes
	var running sync.WaitGroup
	errs := make([]error, domains)
	for n := range domains { // more than there are places
		running.Go(func() { _, errs[n] = client.Fetch(t.Context(), numbered(t, n)) })
	}
	running.Wait()
	known := 0
	for _, err := range errs {
		_, fault := Classify(err)
		if errors.Is(err, errSilent) {
			known++
		}
		if err == nil || fault != FaultPublisher || errors.Is(err, ErrBusy) {
			t.Errorf("%v, fault %v, want the publisher's", err, fault)
		}
	}
	// When a first connect has gone unanswered others may take its place, until
	// three have.
	if known < domains-2*maxHandshakes {
		t.Errorf("%d fetches were spared the connect, want at least %d", known, domains-2*maxHandshakes)
	}
	if _, err := client.Fetch(t.Context(), domain(t, testDomain)); !errors.Is(err, errSilent) {
		t.Errorf("afterwards: %v, want %v", err, errSilent)
	} else {
		checkFetchError(t, err, ResultFetchError, "it is tried once in 1m0s")
	}
}
