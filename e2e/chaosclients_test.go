package e2e

import (
	"fmt"
	"net"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// clientFaults are what clients may do, ill will or not.
func clientFaults() []fault {
	return []fault{
		{
			name: "100 clients pipeline and never read",
			strike: func(t *testing.T, s *scene) func() {
				return openMany(t, s, 100, func(conn *net.TCPConn) {
					conn.SetWriteDeadline(time.Now().Add(time.Second))
					for err := error(nil); err == nil; { // until nothing more goes in
						_, err = conn.Write([]byte(strings.Repeat(s.request(s.known[0]), 100)))
					}
				})
			},
		},
		{
			name: "3000 clients never write",
			strike: func(t *testing.T, s *scene) func() {
				return openMany(t, s, 3000, func(*net.TCPConn) {})
			},
		},
		{
			name: "3000 clients stop in the middle of a request",
			strike: func(t *testing.T, s *scene) func() {
				half := s.request(s.known[0])[:10]
				return openMany(t, s, 3000, func(conn *net.TCPConn) { conn.Write([]byte(half)) })
			},
		},
		{
			name: "3000 clients ask and vanish",
			strike: func(t *testing.T, s *scene) func() {
				return openMany(t, s, 3000, func(conn *net.TCPConn) {
					conn.Write([]byte(strings.Repeat(s.request("vanished.test"), 5)))
					conn.SetLinger(0) // RST
					conn.Close()
				})
			},
		},
		{
			name:     "SIGHUP every 5 ms and every other configuration bad",
			onlyOurs: "what SIGHUP means, and what of a configuration is bad, each program knows alone",
			strike:   hangUp,
		},
	}
}

// request is a lookup as it goes over the wire.
func (s *scene) request(key string) string {
	text := s.client().Map + " " + key
	return fmt.Sprintf("%d:%s,", len(text), text)
}

// openMany opens n connections to the program and does the same to each. The
// returned function closes them.
func openMany(t *testing.T, s *scene, n int, do func(*net.TCPConn)) (closeAll func()) {
	t.Helper()
	var conns []net.Conn
	var doing sync.WaitGroup
	to := s.client()
	for i := range n {
		conn, err := net.DialTimeout("tcp", to.Address, to.Timeout)
		if err != nil {
			s.blame(t, "connection %d of %d: %v", i+1, n, err)
			break
		}
		conns = append(conns, conn)
		doing.Go(func() { do(conn.(*net.TCPConn)) })
	}
	doing.Wait()
	return func() {
		for _, conn := range conns {
			conn.Close()
		}
	}
}

// hangUp sends SIGHUPs until the returned function is called.
func hangUp(t *testing.T, s *scene) (stop func()) {
	stopped, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		again := time.NewTicker(5 * time.Millisecond)
		defer again.Stop()
		for n := 0; ; n++ {
			if n%2 == 0 {
				s.daemon.configure(t, chaosSettings...)
			} else {
				s.daemon.configure(t, append(chaosSettings, "testing: sometimes")...)
			}
			s.daemon.cmd.Process.Signal(syscall.SIGHUP)
			select {
			case <-again.C:
			case <-stopped:
				return
			}
		}
	}()
	return func() {
		close(stopped)
		<-ended
	}
}
