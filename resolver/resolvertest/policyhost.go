package resolvertest

import (
	"bufio"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"testing"
)

// The host and path of a policy: RFC 8461 sections 3.2 and 3.3.
const (
	policyHostLabel = "mta-sts."
	policyPath      = "/.well-known/mta-sts.txt"
)

var errUnknownHost = errors.New("no such policy host")

// PolicyHosts serves the policies of any number of domains over HTTPS on one
// address; the TLS server name tells them apart. A server name that it does
// not know gets no handshake. One connection carries one request.
type PolicyHosts struct {
	tb       testing.TB
	ca       *CA
	listener net.Listener
	done     chan struct{}  // closed when the test is over
	running  sync.WaitGroup // the listener's and each connection's goroutine

	mu       sync.Mutex // guards what follows
	hosts    map[string]Behaviour
	requests map[string]int
	conns    map[net.Conn]struct{}
}

// StartPolicyHosts starts the server on a free port of 127.0.0.1.
func StartPolicyHosts(tb testing.TB, ca *CA) *PolicyHosts {
	tb.Helper()
	return StartPolicyHostsAt(tb, ca, "127.0.0.1:0")
}

// StartPolicyHostsAt starts the server on addr, an IP address and port.
func StartPolicyHostsAt(tb testing.TB, ca *CA, addr string) *PolicyHosts {
	tb.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		tb.Fatalf("policy hosts on %s: %v", addr, err)
	}
	p := &PolicyHosts{
		tb:       tb,
		ca:       ca,
		listener: listener,
		done:     make(chan struct{}),
		hosts:    make(map[string]Behaviour),
		requests: make(map[string]int),
		conns:    make(map[net.Conn]struct{}),
	}
	p.running.Go(p.accept)
	tb.Cleanup(p.stop)
	return p
}

// Addr is the server's address.
func (p *PolicyHosts) Addr() netip.AddrPort {
	return netip.MustParseAddrPort(p.listener.Addr().String())
}

// Serve makes the policy host of domain a good one that serves text.
func (p *PolicyHosts) Serve(domain, text string) { p.Handle(domain, HostPolicy(text)) }

// Handle makes the policy host of domain behave so from its next connection
// on.
func (p *PolicyHosts) Handle(domain string, b Behaviour) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.hosts[policyHostLabel+domain] = b
}

// Requests tells how many HTTP requests for domain have come in.
func (p *PolicyHosts) Requests(domain string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.requests[policyHostLabel+domain]
}

func (p *PolicyHosts) accept() {
	for {
		conn, err := p.listener.Accept()
		if err != nil {
			return // the listener is closed
		}
		if !p.track(conn) {
			conn.Close()
			return
		}
		p.running.Go(func() {
			p.serve(conn)
			p.mu.Lock()
			delete(p.conns, conn)
			p.mu.Unlock()
			conn.Close()
		})
	}
}

// track returns false if the test is over.
func (p *PolicyHosts) track(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return false
	default:
		p.conns[conn] = struct{}{}
		return true
	}
}

func (p *PolicyHosts) stop() {
	p.mu.Lock()
	close(p.done)
	p.listener.Close()
	for conn := range p.conns {
		conn.Close()
	}
	p.mu.Unlock()
	p.running.Wait()
}

// serve handles one connection: handshake, one request, one response. An error of
// the client ends the connection and does not fail the test.
func (p *PolicyHosts) serve(conn net.Conn) {
	var host string
	var behaviour Behaviour
	secure := tls.Server(conn, &tls.Config{
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			host = strings.ToLower(hello.ServerName)
			p.mu.Lock()
			b, known := p.hosts[host]
			p.mu.Unlock()
			if !known {
				return nil, errUnknownHost
			}
			behaviour = b
			return p.configure(host, b, conn)
		},
	})
	if secure.Handshake() != nil {
		return
	}
	request, err := http.ReadRequest(bufio.NewReader(secure))
	if err != nil {
		return
	}
	p.mu.Lock()
	p.requests[host]++
	p.mu.Unlock()

	x := &HostExchange{Request: request, Conn: secure, done: p.done}
	switch {
	case request.Host != host:
		x.respond(http.StatusMisdirectedRequest, "")
	case request.Method != http.MethodGet:
		x.respond(http.StatusMethodNotAllowed, "")
	case request.RequestURI != policyPath:
		x.respond(http.StatusNotFound, "")
	default:
		behaviour.Respond(x)
	}
	secure.Close()
}

// configure runs the behaviour before the handshake and returns the handshake's
// parameters.
func (p *PolicyHosts) configure(host string, b Behaviour, conn net.Conn) (*tls.Config, error) {
	if b.BeforeHandshake != nil {
		b.BeforeHandshake(conn)
	}
	leaf := Leaf{Names: []string{host}}
	if b.Leaf != nil {
		leaf = b.Leaf(host)
	}
	cert, err := p.ca.issue(leaf)
	if err != nil {
		p.tb.Errorf("policy host %s: %v", host, err)
		return nil, err
	}
	return &tls.Config{
		Certificates:           []tls.Certificate{cert},
		MinVersion:             tls.VersionTLS10,
		MaxVersion:             b.MaxVersion,
		CipherSuites:           b.CipherSuites,
		NextProtos:             []string{"http/1.1"},
		SessionTicketsDisabled: true,
	}, nil
}
