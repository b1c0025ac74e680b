package policyhost

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/resolvertest"
)

// Whose fault a failed fetch is, by what each address of the host does.
func TestFault(t *testing.T) {
	t.Parallel()
	const (
		refuses = "127.0.0.2" // nobody listens
		expired = "127.0.0.3"
		full    = "127.0.0.4" // as many connections are in their handshake as may be
		noRoute = "224.0.0.1" // the kernel has none for TCP
		private = "10.0.0.1"  // not allowed
		hangs   = "127.0.0.5" // in the handshake
	)
	for name, c := range map[string]struct {
		addrs  string
		fault  Fault
		result Result
	}{
		"no addresses":              {"", FaultPublisher, ResultFetchError},
		"refused":                   {refuses, FaultPublisher, ResultFetchError},
		"bad certificate":           {expired, FaultPublisher, ResultWebPKIInvalid},
		"too slow":                  {hangs, FaultPublisher, ResultFetchError},
		"not allowed":               {private, FaultPublisher, ResultFetchError},
		"load":                      {full, FaultLoad, ResultFetchError},
		"no route":                  {noRoute, FaultLocal, ResultFetchError},
		"load and no route":         {full + " " + noRoute, FaultLoad, ResultFetchError},
		"load and not allowed":      {full + " " + private, FaultLoad, ResultFetchError},
		"no route and not allowed":  {noRoute + " " + private, FaultLocal, ResultFetchError},
		"load and refused":          {full + " " + refuses, FaultPublisher, ResultFetchError},
		"load and too slow":         {full + " " + hangs, FaultPublisher, ResultFetchError},
		"load and bad certificate":  {full + " " + expired, FaultPublisher, ResultWebPKIInvalid},
		"bad certificate and load":  {expired + " " + full, FaultPublisher, ResultWebPKIInvalid},
		"no route and refused":      {noRoute + " " + refuses, FaultPublisher, ResultFetchError},
		"refused, then certificate": {refuses + " " + expired, FaultPublisher, ResultWebPKIInvalid},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			ca := resolvertest.NewCA(t)
			o := options(ca, resolvertest.StartPolicyHosts(t, ca)) // holds a port
			o.Addresses = addresses(strings.Fields(c.addrs)...)
			o.AllowNetworks = append(o.AllowNetworks, netip.MustParsePrefix("224.0.0.0/4"))
			o.Timeout = 2 * time.Second
			start := func(addr string, b resolvertest.Behaviour) {
				at := netip.AddrPortFrom(netip.MustParseAddr(addr), o.TestingOnlyPort)
				resolvertest.StartPolicyHostsAt(t, ca, at.String()).Handle(testDomain, b)
			}
			if strings.Contains(c.addrs, expired) {
				start(expired, resolvertest.HostExpired(testPolicy))
			}
			if strings.Contains(c.addrs, hangs) {
				start(hangs, resolvertest.HostHangsInHandshake())
			}
			client := New(o)
			for n := range maxHandshakes {
				mustEnter(t, client.limits, numbered(t, n), netip.MustParseAddr(full))
			}
			_, err := client.Fetch(t.Context(), domain(t, testDomain))
			checkFetchError(t, err, c.result, " ")
			if result, fault := Classify(err); result != c.result || fault != c.fault {
				t.Errorf("%v: %s, fault %v; want %s, %v", err, result, fault, c.result, c.fault)
			}
			if busy := errors.Is(err, ErrBusy); busy != (c.fault == FaultLoad) {
				t.Errorf("%v: ErrBusy %v, fault %v", err, busy, c.fault)
			}
		})
	}
}

// A fetch that waits for a place to the end is refused for load, and says so. If it
// could not reach another address, that changes nothing.
func TestRefusedForLoad(t *testing.T) {
	t.Parallel()
	for _, addrs := range [][]string{{"127.0.0.1"}, {"127.0.0.1", "127.0.0.2"}, {"127.0.0.1", "10.0.0.1"}} {
		synctest.Test(t, func(t *testing.T) { // without network: no address is connected to
			client := New(Options{Addresses: addresses(addrs...), AllowNetworks: []netip.Prefix{loopback}})
			for n := range maxHandshakes {
				mustEnter(t, client.limits, numbered(t, n), netip.MustParseAddr("127.0.0.1"))
				mustEnter(t, client.limits, numbered(t, n), netip.MustParseAddr("127.0.0.2"))
			}
			start := time.Now()
			_, err := client.Fetch(t.Context(), domain(t, testDomain))
			checkFetchError(t, err, ResultFetchError, "127.0.0.1:443: "+errBusyHere.Error())
			if _, fault := Classify(err); fault != FaultLoad || !errors.Is(err, ErrBusy) {
				t.Errorf("%v: fault %v", err, fault)
			}
			if took := time.Since(start); took > maxWait+stagger {
				t.Errorf("after %v", took)
			}
		})
	}
}

// The addresses of a dead host never crowd each other out, however close they are:
// it is dead, not refused for load.
func TestDeadHostWithManyAddresses(t *testing.T) {
	t.Parallel()
	silent := startProxy(t, func(conn net.Conn, _ *http.Request) { io.Copy(io.Discard, conn) })
	var addrs []string
	for n := range maxHandshakes + 4 {
		addrs = append(addrs, fmt.Sprintf("2001:db8:1::%x", n+1))
	}
	client := New(Options{
		Addresses:     addresses(addrs...),
		AllowNetworks: []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")},
		Proxy:         silent,       // which stands for a network with IPv6
		Timeout:       20 * stagger, // so long that more than maxHandshakes are tried at once
	})
	_, err := client.Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "connect not answered")
	if _, fault := Classify(err); fault != FaultPublisher || errors.Is(err, ErrBusy) {
		t.Errorf("%v: fault %v", err, fault)
	}
}

func TestFaultOfAddresses(t *testing.T) {
	t.Parallel()
	fetch := func(ctx context.Context, lookup func(context.Context, string) ([]netip.Addr, error)) Fault {
		t.Helper()
		_, err := New(Options{Addresses: lookup, Timeout: 10 * time.Millisecond}).Fetch(ctx, domain(t, testDomain))
		if err == nil {
			t.Fatal("no error")
		}
		_, fault := Classify(err)
		return fault
	}
	silent := func(ctx context.Context, _ string) ([]netip.Addr, error) {
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}
	if fault := fetch(t.Context(), silent); fault != FaultDNS {
		t.Errorf("silent DNS: fault %v", fault)
	}
	failing := func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("SERVFAIL") }
	if fault := fetch(t.Context(), failing); fault != FaultDNS {
		t.Errorf("SERVFAIL: fault %v", fault)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if fault := fetch(cancelled, silent); fault != FaultLocal {
		t.Errorf("a caller that gave up: fault %v", fault)
	}
}

func TestClassify(t *testing.T) {
	t.Parallel()
	_, invalid := mtasts.ParsePolicy("<html>")
	for name, c := range map[string]struct {
		err    error
		result Result
		fault  Fault
	}{
		"nothing":     {nil, ResultOK, FaultPublisher},
		"policy":      {invalid, ResultPolicyInvalid, FaultPublisher},
		"certificate": {newFetchError(testHost, &tls.CertificateVerificationError{Err: errors.New("expired")}), ResultWebPKIInvalid, FaultPublisher},
		"load":        {newFetchError(testHost, &faultError{FaultLoad, errBusyHere}), ResultFetchError, FaultLoad},
		"other":       {errors.New("other"), ResultFetchError, FaultPublisher},
	} {
		if result, fault := Classify(c.err); result != c.result || fault != c.fault {
			t.Errorf("%s: %s, %v; want %s, %v", name, result, fault, c.result, c.fault)
		}
	}
}
