package policyhost

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"mta-sts-daemon/resolver/resolvertest"
)

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
