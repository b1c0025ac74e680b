// Package null is a minimal server of Postfix lookups, written the usual way:
// accept, read, write a constant reply. The difference between it and a real
// server is the cost of the real server's work; the rest is the cost of the
// kernel and the Go runtime.
package null

import (
	"bytes"
	"net"
)

// bufferSize holds a pipeline of requests.
const bufferSize = 4 << 10

// Server answers every request with the same reply.
type Server struct {
	// Reply is the whole of it, as it goes over the wire.
	Reply []byte
	// Lines takes requests for lines, as tcp_table(5) has them, not for
	// netstrings.
	Lines bool
	// Batch writes the replies to all requests that one read brings at once.
	Batch bool
}

// Serve answers those who connect to l until it is closed, and each for as long
// as they stay.
func (s *Server) Serve(l net.Listener) error {
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go s.answer(conn)
	}
}

// answer reads and writes until the client has gone.
func (s *Server) answer(conn net.Conn) {
	defer conn.Close()
	in, filled := make([]byte, bufferSize), 0
	var out []byte // of one batch
	for {
		n, err := conn.Read(in[filled:])
		if err != nil {
			return
		}
		filled += n
		requests, used := s.count(in[:filled])
		filled = copy(in, in[used:filled])
		if err := s.reply(conn, requests, &out); err != nil {
			return
		}
	}
}

// reply writes so many replies, out of a buffer that is used again.
func (s *Server) reply(conn net.Conn, requests int, buf *[]byte) error {
	if !s.Batch {
		for range requests {
			if _, err := conn.Write(s.Reply); err != nil {
				return err
			}
		}
		return nil
	}
	out := (*buf)[:0]
	for range requests {
		out = append(out, s.Reply...)
	}
	*buf = out
	_, err := conn.Write(out)
	return err
}

// count returns the number of complete requests at the beginning of in, and their
// length in bytes.
func (s *Server) count(in []byte) (requests, used int) {
	next := netstring
	if s.Lines {
		next = line
	}
	for {
		n := next(in[used:])
		if n == 0 {
			return requests, used
		}
		requests++
		used += n
	}
}

func line(in []byte) int { return bytes.IndexByte(in, '\n') + 1 }

// netstring believes its client: it returns the length of the first, or 0.
func netstring(in []byte) int {
	length := 0
	for i, c := range in {
		if c == ':' {
			if end := i + 1 + length + len(","); end <= len(in) {
				return end
			}
			return 0
		}
		length = 10*length + int(c-'0')
	}
	return 0
}
