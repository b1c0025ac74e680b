package policyhost

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// startProxy starts an HTTP proxy on loopback that hands each request to serve.
func startProxy(t *testing.T, serve func(net.Conn, *http.Request)) (addr string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer conn.Close()
				if request, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
					serve(conn, request)
				}
			})
		}
	})
	t.Cleanup(func() {
		listener.Close()
		running.Wait()
	})
	return listener.Addr().String()
}

// tunnels behaves as a good proxy.
func tunnels(conn net.Conn, request *http.Request) {
	if request.Method != http.MethodConnect {
		replies("HTTP/1.1 405 No\r\n\r\n")(conn, request)
		return
	}
	target, err := net.Dial("tcp", request.RequestURI)
	if err != nil {
		replies("HTTP/1.1 502 No\r\n\r\n")(conn, request)
		return
	}
	defer target.Close()
	io.WriteString(conn, "HTTP/1.1 200 Connection established\r\n\r\n")
	var back sync.WaitGroup
	back.Go(func() {
		io.Copy(conn, target)
		conn.Close()
	})
	io.Copy(target, conn)
	target.Close()
	back.Wait()
}

func replies(reply string) func(net.Conn, *http.Request) {
	return func(conn net.Conn, _ *http.Request) { io.WriteString(conn, reply) }
}

func TestProxy(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	hosts.Serve(testDomain, testPolicy)
	connects := make(chan *http.Request, 1)
	proxy := startProxy(t, func(conn net.Conn, request *http.Request) {
		connects <- request
		tunnels(conn, request)
	})
	o := options(ca, hosts)
	_, port, _ := net.SplitHostPort(proxy)
	lookup := o.Addresses
	o.Addresses = func(ctx context.Context, host string) ([]netip.Addr, error) {
		if host != testHost && host != "proxy.example.com" {
			t.Errorf("looked up %q", host)
		}
		return lookup(ctx, host)
	}
	for _, o.Proxy = range []string{proxy, "localhost:" + port, "proxy.example.com:" + port} {
		text, err := New(o).Fetch(t.Context(), domain(t, testDomain))
		if err != nil || text != testPolicy {
			t.Fatalf("through %s: %q, %v", o.Proxy, text, err)
		}
		request := <-connects
		if target := hosts.Addr().String(); request.RequestURI != target || request.Host != target {
			t.Errorf("CONNECT %s, Host %s, want the checked address %s", request.RequestURI, request.Host, target)
		}
	}
}

// A proxy that refuses is left.
func TestRefusingProxyIsLeft(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	o := options(ca, resolvertest.StartPolicyHosts(t, ca))
	left := make(chan struct{})
	o.Proxy = startProxy(t, func(conn net.Conn, request *http.Request) {
		replies("HTTP/1.1 403 No\r\n\r\n")(conn, request)
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := conn.Read(make([]byte, 1)); err == io.EOF {
			close(left)
		}
	})
	client := New(o)
	_, err := client.Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "403")
	select {
	case <-left:
	case <-time.After(10 * time.Second):
		t.Error("the connection to the proxy stays open")
	}
}

// The guard applies to policy hosts behind a proxy, and never to the proxy.
func TestProxyGuard(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	o := options(ca, hosts)
	o.AllowNetworks = nil
	connects := make(chan string, 1)
	o.Proxy = startProxy(t, func(conn net.Conn, request *http.Request) {
		connects <- request.RequestURI
		replies("HTTP/1.1 403 No\r\n\r\n")(conn, request)
	})
	_, err := New(o).Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "fetch.allow_networks")
	select {
	case target := <-connects:
		t.Errorf("the proxy was asked for %s", target)
	default:
	}

	o.Addresses = addresses("198.41.0.4")
	_, err = New(o).Fetch(t.Context(), domain(t, testDomain))
	checkFetchError(t, err, ResultFetchError, "198.41.0.4:")
	if target := <-connects; !strings.HasPrefix(target, "198.41.0.4:") {
		t.Errorf("the proxy was asked for %s", target)
	}
}

func TestProxyBad(t *testing.T) {
	t.Parallel()
	ca := resolvertest.NewCA(t)
	hosts := resolvertest.StartPolicyHosts(t, ca)
	hosts.Serve(testDomain, testPolicy)
	silent := startProxy(t, func(conn net.Conn, _ *http.Request) { io.Copy(io.Discard, conn) })
	for name, c := range map[string]struct {
		proxy   string
		fault   Fault
		message string
	}{
		"cannot connect":      {startProxy(t, replies("HTTP/1.1 503 No\r\n\r\n")), FaultPublisher, "answers CONNECT by status 503"},
		"gets no answer":      {startProxy(t, replies("HTTP/1.1 504 No\r\n\r\n")), FaultPublisher, "answers CONNECT by status 504"},
		"bad gateway":         {startProxy(t, replies("HTTP/1.1 502 No\r\n\r\n")), FaultPublisher, "answers CONNECT by status 502"},
		"wants authorisation": {startProxy(t, replies("HTTP/1.1 407 No\r\n\r\n")), FaultLocal, "answers CONNECT by status 407"},
		"forbids":             {startProxy(t, replies("HTTP/1.1 403 <\xff>\r\n\r\n")), FaultLocal, "answers CONNECT by status 403 Forbidden"},
		"redirects":           {startProxy(t, replies("HTTP/1.1 302 Go\r\nLocation: https://x/\r\n\r\n")), FaultLocal, "answers CONNECT by status 302 Found"},
		"closes":              {startProxy(t, replies("")), FaultLocal, "closed before the end of the response header"},
		"no HTTP":             {startProxy(t, replies("220 mx.example.com ESMTP\xff\r\n")), FaultLocal, "malformed HTTP"},
		"endless header":      {startProxy(t, replies("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", maxHeaderLen))), FaultLocal, "response header longer than 32768 bytes"},
		"no TLS":              {startProxy(t, replies("HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n")), FaultPublisher, hosts.Addr().String() + ": "},
		"silent":              {silent, FaultPublisher, "connect not answered within 1s"},
		"nobody there":        {"127.0.0.1:1", FaultLocal, "connection refused"},
		"no such name":        {"nowhere.example.com:1", FaultLocal, "nowhere.example.com has no addresses"},
		"no port":             {"127.0.0.1", FaultLocal, "missing port"},
		"named port":          {"127.0.0.1:http", FaultLocal, `port "http"`},
		"unknown host":        {startProxy(t, tunnels), FaultPublisher, "remote error: tls: "},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := options(ca, hosts)
			lookup := o.Addresses
			o.Addresses = func(ctx context.Context, host string) ([]netip.Addr, error) {
				if host != testHost {
					return nil, nil
				}
				return lookup(ctx, host)
			}
			o.Proxy = c.proxy
			if c.proxy == silent {
				o.Timeout = 2 * time.Second
			}
			if name == "unknown host" {
				other := resolvertest.StartPolicyHosts(t, ca)
				o.TestingOnlyPort = other.Addr().Port()
			}
			_, err := New(o).Fetch(t.Context(), domain(t, testDomain))
			checkFetchError(t, err, ResultFetchError, c.message)
			checkPrintable(t, err)
			if _, fault := Classify(err); fault != c.fault {
				t.Errorf("%v: fault %v, want %v", err, fault, c.fault)
			}
		})
	}
}
