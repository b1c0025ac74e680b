package system

import (
	"crypto/tls"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/resolver/resolvertest"
)

// sink is a mail server that takes everything, with a certificate for every
// name directly below mx.test.
type sink struct {
	tls      *tls.Config
	listener net.Listener
	serving  sync.WaitGroup
	taken    chan string // recipients

	mu    sync.Mutex // guards what follows
	conns map[net.Conn]struct{}
}

// startSink starts the server at addr.
func startSink(t *testing.T, ca *resolvertest.CA, addr string) *sink {
	t.Helper()
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &sink{
		tls:      &tls.Config{Certificates: []tls.Certificate{ca.Certificate(resolvertest.Leaf{Names: []string{"*.mx.test"}})}},
		listener: listener,
		taken:    make(chan string, 100),
		conns:    make(map[net.Conn]struct{}),
	}
	s.serving.Go(s.accept)
	t.Cleanup(s.stop)
	return s
}

// awaitMail waits until the next message has come, which must be to recipient.
func (s *sink) awaitMail(t *testing.T, recipient string) {
	t.Helper()
	s.awaitMailRetrying(t, recipient, func() {})
}

// awaitMailRetrying is awaitMail, and calls retry every two seconds. It is for mail after
// a reload of Postfix: an smtp client with the previous settings can take the first attempt.
func (s *sink) awaitMailRetrying(t *testing.T, recipient string, retry func()) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(2 * time.Second)
	defer again.Stop()
	for {
		select {
		case got := <-s.taken:
			if got != recipient {
				t.Fatalf("the MX host has taken mail to %s, want %s", got, recipient)
			}
			return
		case <-again.C:
			retry()
		case <-tooLong:
			t.Fatalf("mail to %s does not come", recipient)
		}
	}
}

func (s *sink) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return // closed
		}
		s.mu.Lock()
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

func (s *sink) stop() {
	s.listener.Close()
	s.mu.Lock()
	for conn := range s.conns {
		conn.Close()
	}
	s.mu.Unlock()
	s.serving.Wait()
}

// serve speaks SMTP (RFC 5321) to one client, as much of it as Postfix needs.
func (s *sink) serve(conn net.Conn) {
	client := textproto.NewConn(conn)
	client.PrintfLine("220 mx.test ESMTP")
	secured, recipient := false, ""
	for {
		line, err := client.ReadLine()
		if err != nil {
			return
		}
		verb, argument, _ := strings.Cut(line, " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			if !secured {
				client.PrintfLine("250-mx.test\r\n250 STARTTLS")
			} else {
				client.PrintfLine("250 mx.test")
			}
		case "STARTTLS":
			client.PrintfLine("220 go ahead")
			secure := tls.Server(conn, s.tls)
			if secure.Handshake() != nil {
				return
			}
			secured, client = true, textproto.NewConn(secure)
		case "RCPT":
			_, recipient, _ = strings.Cut(argument, "<")
			recipient, _, _ = strings.Cut(recipient, ">")
			client.PrintfLine("250 ok")
		case "DATA":
			client.PrintfLine("354 send it")
			if _, err := io.Copy(io.Discard, client.DotReader()); err != nil {
				return
			}
			s.taken <- recipient
			client.PrintfLine("250 taken")
		case "QUIT":
			client.PrintfLine("221 bye")
			return
		default:
			client.PrintfLine("250 ok")
		}
	}
}
