// Package smtpsink is a mail server for tests and benchmarks of programs that send mail: it
// takes every message, with STARTTLS if it has a certificate, and records who sent what and how.
package smtpsink

import (
	"crypto/tls"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
)

// Config describes a sink.
type Config struct {
	Host         string      // the name in its replies
	TLS          *tls.Config // nil: it offers no STARTTLS
	NoREQUIRETLS bool        // it does not offer REQUIRETLS (RFC 8689) in TLS
}

// Message is a message that a sink has taken.
type Message struct {
	Recipient  string // the last one, if it has several
	TLS        bool
	ServerName string // of the TLS handshake (SNI), in lower case
	RequireTLS bool   // the client asked for REQUIRETLS
}

// Sink is a running server. It is safe for concurrent use.
type Sink struct {
	config   Config
	listener net.Listener
	serving  sync.WaitGroup

	mu     sync.Mutex // guards what follows
	closed bool
	conns  map[net.Conn]struct{}
	taken  map[string][]Message // by the name in the client's EHLO
}

// Start starts a server at a TCP address.
func Start(address string, c Config) (*Sink, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Sink{config: c, listener: listener, conns: make(map[net.Conn]struct{}), taken: make(map[string][]Message)}
	s.serving.Go(s.accept)
	return s, nil
}

// Close stops the server and closes its connections.
func (s *Sink) Close() {
	s.mu.Lock()
	s.closed = true
	s.listener.Close()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// Received returns the messages of all clients that no Collect has returned. A message is
// among them before its client gets the reply.
func (s *Sink) Received() (all []Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, messages := range s.taken {
		all = append(all, messages...)
	}
	return all
}

// Collect returns the messages since the last call that came from the client which calls itself
// by this name.
func (s *Sink) Collect(client string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	messages := s.taken[client]
	delete(s.taken, client)
	return messages
}

func (s *Sink) accept() {
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
		s.serving.Go(func() {
			s.serve(conn)
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
			conn.Close()
		})
	}
}

// serve speaks SMTP (RFC 5321) to one client, as much of it as MTAs need.
func (s *Sink) serve(conn net.Conn) {
	client := textproto.NewConn(conn)
	client.PrintfLine("220 %s ESMTP", s.config.Host)
	var m Message
	var name string
	for {
		line, err := client.ReadLine()
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			name = argument
			client.PrintfLine("250-%s", s.config.Host)
			if s.config.TLS != nil && !m.TLS {
				client.PrintfLine("250-STARTTLS")
			}
			if m.TLS && !s.config.NoREQUIRETLS {
				client.PrintfLine("250-REQUIRETLS")
			}
			client.PrintfLine("250-8BITMIME")
			client.PrintfLine("250 SMTPUTF8")
		case "STARTTLS":
			client.PrintfLine("220 go ahead")
			secure := tls.Server(conn, s.config.TLS)
			if secure.Handshake() != nil {
				return
			}
			m = Message{TLS: true, ServerName: strings.ToLower(secure.ConnectionState().ServerName)}
			client = textproto.NewConn(secure)
		case "MAIL":
			m.RequireTLS = strings.Contains(argument, " REQUIRETLS")
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

// recipient returns the address in "TO:<address> parameters".
func recipient(argument string) string {
	_, address, _ := strings.Cut(argument, "<")
	address, _, _ = strings.Cut(address, ">")
	return address
}
