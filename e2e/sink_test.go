package e2e

import (
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// certificate is how the certificate of a sink is, or its absence.
type certificate string

const (
	goodCertificate certificate = "good"
	wrongName       certificate = "wrong name"
	expired         certificate = "expired"
	selfSigned      certificate = "self-signed"
	noSTARTTLS      certificate = "no STARTTLS"
	noHandshake     certificate = "handshake fails" // STARTTLS is offered, without a certificate
	noREQUIRETLS    certificate = "no REQUIRETLS"   // a good one
)

// message is one that a sink has taken.
type message struct {
	Recipient  string
	TLS        bool
	ServerName string // that Postfix asked for in the handshake (SNI), in lower case
}

// sink is a mail server that takes everything and keeps an account of it.
type sink struct {
	host      string
	askedAs   string      // the name that Postfix is expected to ask for: host, unless a test says otherwise
	tls       *tls.Config // nil: no STARTTLS
	listener  net.Listener
	receiving sync.WaitGroup

	mu              sync.Mutex // guards what follows
	closed          bool
	lacksREQUIRETLS bool // it is not offered in TLS
	conns           map[net.Conn]struct{}
	taken           map[string][]message // by the name that the client gave itself
	requiring       map[string]int       // the number of those with REQUIRETLS, since the last collectRequiring
}

// startSink starts a server that calls itself host at addr.
func startSink(t *testing.T, ca *resolvertest.CA, addr, host string, cert certificate) *sink {
	t.Helper()
	leaf := &resolvertest.Leaf{Names: []string{host}}
	switch cert {
	case noHandshake:
		return serveSink(t, addr, host, new(tls.Config))
	case wrongName:
		leaf.Names = []string{"elsewhere.test"}
	case expired:
		leaf.NotAfter = time.Now().Add(-time.Hour)
	case selfSigned:
		leaf.SelfSigned = true
	case noSTARTTLS:
		leaf = nil
	}
	s := startSinkWith(t, ca, addr, host, leaf)
	if cert == noREQUIRETLS {
		s.mu.Lock()
		s.lacksREQUIRETLS = true
		s.mu.Unlock()
	}
	return s
}

// openMX starts the n-th MX host, the only one of domain.
func (w *world) openMX(t *testing.T, domain string, n int, cert certificate) *sink {
	t.Helper()
	address := fmt.Sprintf("127.0.1.%d", n)
	w.addMX(domain, "mx."+domain, address)
	return startSink(t, w.ca, address+":25", "mx."+domain, cert)
}

// startSinkWith starts a server that shows leaf, or none.
func startSinkWith(t *testing.T, ca *resolvertest.CA, addr, host string, leaf *resolvertest.Leaf) *sink {
	t.Helper()
	if leaf == nil {
		return serveSink(t, addr, host, nil)
	}
	return serveSink(t, addr, host, &tls.Config{Certificates: []tls.Certificate{ca.Certificate(*leaf)}})
}

// serveSink starts a server that offers STARTTLS unless config is nil.
func serveSink(t *testing.T, addr, host string, config *tls.Config) *sink {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{host: host, askedAs: host, tls: config, listener: listener, conns: make(map[net.Conn]struct{}), taken: make(map[string][]message), requiring: make(map[string]int)}
	s.receiving.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

// received returns the messages that the sink has received so far, from all
// clients. A message is in it before the client gets the reply.
func (s *sink) received() (all []message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, messages := range s.taken {
		all = append(all, messages...)
	}
	return all
}

// collect returns the messages that the sink received from one client since the
// last call.
func (s *sink) collect(client string) []message {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := s.taken[client]
	delete(s.taken, client)
	return messages
}

func (s *sink) offersREQUIRETLS() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return !s.lacksREQUIRETLS
}

// collectRequiring returns how many messages with REQUIRETLS the sink received from
// one client since the last call.
func (s *sink) collectRequiring(client string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.requiring[client]
	delete(s.requiring, client)
	return n
}

func (s *sink) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
		if s.closed {
			conn.Close()
		}
		s.conns[conn] = struct{}{}
		s.mu.Unlock()
		s.receiving.Go(func() {
			s.serve(conn)
			conn.Close()
		})
	}
}

func (s *sink) stop() {
	s.mu.Lock()
	s.closed = true
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.receiving.Wait()
}

// serve speaks SMTP (RFC 5321) to one client, as much of it as Postfix needs.
func (s *sink) serve(conn net.Conn) {
	client := textproto.NewConn(conn)
	client.PrintfLine("220 %s ESMTP", s.host)
	var m message
	var name string
	var required bool
	for {
		line, err := client.ReadLine()
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			name = argument
			client.PrintfLine("250-%s", s.host)
			if s.tls != nil && !m.TLS {
				client.PrintfLine("250-STARTTLS")
			}
			if m.TLS && s.offersREQUIRETLS() {
				client.PrintfLine("250-REQUIRETLS")
			}
			client.PrintfLine("250-8BITMIME")
			client.PrintfLine("250 SMTPUTF8")
		case "STARTTLS":
			client.PrintfLine("220 go ahead")
			secure := tls.Server(conn, s.tls)
			if secure.Handshake() != nil {
				return
			}
			m = message{TLS: true, ServerName: strings.ToLower(secure.ConnectionState().ServerName)}
			client = textproto.NewConn(secure)
		case "MAIL":
			required = strings.Contains(argument, " REQUIRETLS")
			client.PrintfLine("250 ok")
		case "RCPT":
			m.Recipient = recipient(argument)
			client.PrintfLine("250 ok")
		case "DATA":
			client.PrintfLine("354 send it")
			if _, err := io.Copy(io.Discard, client.DotReader()); err != nil {
				return
			}
			s.mu.Lock()
			s.taken[name] = append(s.taken[name], m)
			if required {
				s.requiring[name]++
			}
			s.mu.Unlock()
			client.PrintfLine("250 taken")
		case "QUIT":
			client.PrintfLine("221 bye")
			return
		default:
			client.PrintfLine("250 ok")
		}
	}
}

// recipient is the address in "TO:<address> parameters".
func recipient(argument string) string {
	_, address, _ := strings.Cut(argument, "<")
	address, _, _ = strings.Cut(address, ">")
	return address
}
