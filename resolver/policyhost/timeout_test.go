package policyhost

import (
	"context"
	"errors"
	"io"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// What takes forever ends at the time limit, which the message names.
func TestFetchTimeout(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	for name, host := range map[string]resolvertest.Behaviour{
		"hangs":              resolvertest.HostHangs(),
		"hangs in handshake": resolvertest.HostHangsInHandshake(),
		"drips header":       resolvertest.HostDripsHeader(),
		"drips body":         resolvertest.HostDripsBody(),
		"slow":               resolvertest.HostDelay(time.Hour, testPolicy),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			hosts := resolvertest.StartPolicyHosts(t, ca)
			hosts.Handle(testDomain, host)
			o := options(ca, hosts)
			o.Timeout = timeout
			start := time.Now()
			_, err := New(o).Fetch(t.Context(), domain(t, testDomain))
			checkFetchError(t, err, ResultFetchError, "not done within 300ms")
			if took := time.Since(start); took < timeout || took > 20*timeout {
				t.Errorf("took %v, want %v", took, timeout)
			}
		})
	}
}

// The address lookup counts towards the time limit.
func TestFetchAddressesTimeout(t *testing.T) {
	t.Parallel()
	c := New(Options{Timeout: time.Millisecond, Addresses: func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}})
	_, err := c.Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "not done within 1ms")
}

func TestFetchCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	hosts.Handle(testDomain, resolvertest.Behaviour{Respond: func(x *resolvertest.HostExchange) {
		cancel()
		io.Copy(io.Discard, x.Conn)
	}})
	_, err := New(options(ca, hosts)).Fetch(ctx, domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "context canceled")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v is not context.Canceled", err)
	}
}

// Not parallel: it counts goroutines, so nothing else may run.
func TestFetchLeavesNoGoroutine(t *testing.T) {
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	behaviours := []resolvertest.Behaviour{
		resolvertest.HostPolicy(testPolicy),
		resolvertest.HostHangs(),
		resolvertest.HostHangsInHandshake(),
		resolvertest.HostDripsHeader(),
		resolvertest.HostDripsBody(),
		resolvertest.HostEndlessHeader(),
		resolvertest.HostEndlessInterim(),
		resolvertest.HostEndlessBody(),
		resolvertest.HostExpired(testPolicy),
		resolvertest.HostCloses(),
	}
	o := options(ca, hosts)
	o.Timeout = 100 * time.Millisecond
	o.Addresses = addresses("127.0.0.1", "127.0.0.2", "10.0.0.1")
	client := New(o)
	before := runtime.NumGoroutine()
	for _, b := range behaviours {
		hosts.Handle(testDomain, b)
		client.Fetch(t.Context(), domain(t, testDomain)) // its result is tested elsewhere
	}
	for limit := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, stacks[:runtime.Stack(stacks, true)])
		}
	}
}
