package policyhost

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

func TestCrowd(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c := newCrowds()
		addr := netip.MustParseAddr("192.0.2.1")
		var leaves []func()
		for range maxCrowd {
			leave, err := c.join(t.Context(), addr)
			if err != nil {
				t.Fatal(err)
			}
			leaves = append(leaves, leave)
		}

		start := time.Now()
		if _, err := c.join(t.Context(), addr); !errors.Is(err, ErrBusy) || time.Since(start) != crowdPatience {
			t.Errorf("one too many: %v after %v, want ErrBusy after %v", err, time.Since(start), crowdPatience)
		}
		gone := errors.New("gone")
		ctx, cancel := context.WithTimeoutCause(t.Context(), crowdPatience/2, gone)
		defer cancel()
		if _, err := c.join(ctx, addr); !errors.Is(err, gone) {
			t.Errorf("one who gives up: %v, want its cause", err)
		}
		if other, err := c.join(t.Context(), addr.Next()); err != nil {
			t.Errorf("another address: %v", err)
		} else {
			other()
		}

		time.AfterFunc(crowdPatience/2, leaves[0])
		leave, err := c.join(t.Context(), addr)
		if err != nil {
			t.Fatalf("when one has left: %v", err)
		}
		for _, leave := range append(leaves[1:], leave) {
			leave()
		}
		if len(c.at) != 0 {
			t.Errorf("%d networks remembered though nobody is there", len(c.at))
		}
	})
}

// However a connection ends, it makes room for another: else an address that
// failed a few times would never be connected to again.
func TestConnectionLeavesTheCrowd(t *testing.T) {
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
			conn, err := client.connect(t.Context(), dialTCP, testHost, hosts.Addr())
			if (err != nil) != (tc.end == nil) {
				t.Fatal(err)
			}
			if tc.end != nil {
				if len(client.crowds.at) != 1 {
					t.Error("a connection counts nowhere")
				}
				tc.end(conn)
			}
			if len(client.crowds.at) != 0 {
				t.Error("it counts still")
			}
		})
	}
}

func TestNetworkOf(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1/32",
		"::ffff:192.0.2.1":     "192.0.2.1/32",
		"64:ff9b::c000:201":    "192.0.2.1/32",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1::/48",
		"64:ff9b:1::c000:201":  "64:ff9b:1::/48",
	} {
		if got := networkOf(netip.MustParseAddr(addr)); got.String() != want {
			t.Errorf("%s counts with %v, want %s", addr, got, want)
		}
	}
}

// Domains without end may name one host: it never sees more than a few
// connections, and the fetches that were not made do not blame it.
func TestFetchFlood(t *testing.T) {
	t.Parallel()
	const fetches = 5 * maxCrowd
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	var open, most atomic.Int32
	let := make(chan struct{})
	host := resolvertest.HostPolicy(testPolicy)
	host.BeforeHandshake = func(net.Conn) {
		n := open.Add(1)
		defer open.Add(-1)
		for seen := most.Load(); n > seen && !most.CompareAndSwap(seen, n); seen = most.Load() {
		}
		<-let
	}
	hosts.Handle(testDomain, host)
	client, d := New(options(ca, hosts)), domain(t, testDomain)
	client.crowds.patience = 200 * time.Millisecond
	var running sync.WaitGroup
	var done, busy atomic.Int32
	for range fetches {
		running.Go(func() {
			_, err := client.Fetch(t.Context(), d)
			if err != nil {
				checkFetchError(t, err, ResultFetchError, ErrBusy.Error())
			}
			if errors.Is(err, ErrBusy) {
				busy.Add(1)
			}
			if done.Add(1) == fetches-maxCrowd {
				close(let)
			}
		})
	}
	running.Wait()
	if most.Load() != maxCrowd || busy.Load() != fetches-maxCrowd {
		t.Errorf("%d connections at once, %d fetches not made; want %d, %d", most.Load(), busy.Load(), maxCrowd, fetches-maxCrowd)
	}
	if _, err := client.Fetch(t.Context(), d); err != nil {
		t.Errorf("after the flood: %v", err)
	}
}
