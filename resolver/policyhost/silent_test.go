package policyhost

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

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

// The number of silent addresses that are remembered is limited.
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
