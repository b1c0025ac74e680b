package shared

import (
	"bytes"
	"errors"
	"net"
	"strconv"
	"strings"
)

const (
	// maxReply is the longest reply that is read, in bytes. Values and messages
	// are far shorter; the longest is a cluster's list of its commands.
	maxReply = 1 << 20

	// minElement is the length of the shortest element of a reply: "_" and the end
	// of the line.
	minElement = 3
)

var (
	errReplyTooLong = errors.New("the server announces a reply that is longer than any that was asked for")
	errNoReply      = errors.New("the server sends something that is not a reply")
)

// boundedConn refuses replies that announce more than maxReply. The Redis client
// allocates the announced length before it reads. Without the bound anybody who can
// publish a message or impersonate the server could exhaust the daemon's memory.
type boundedConn struct {
	net.Conn
	bound replyBound
}

func (c *boundedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if fault := c.bound.see(b[:n]); fault != nil {
		return 0, fault
	}
	return n, err
}

// replyBound follows a stream of replies (RESP2 and RESP3): lines, after some of
// which come as many bytes or elements as the line says.
type replyBound struct {
	line []byte // the beginning of a line that has not ended
	left int    // elements of the reply still to begin
	text int    // bytes still to come of a string, the end of its line too
	seen int    // bytes of the reply so far
}

// see follows the next bytes of the stream. After an error the stream has to be closed.
func (r *replyBound) see(b []byte) error {
	for len(b) > 0 {
		if r.text > 0 {
			n := min(r.text, len(b))
			r.text -= n
			r.seen += n
			b = b[n:]
			continue
		}
		if r.left == 0 {
			r.left, r.seen = 1, 0 // a reply begins
		}
		line, rest, ended := bytes.Cut(b, []byte("\n"))
		r.line = append(r.line, line...)
		r.seen += len(b) - len(rest)
		b = rest
		if ended {
			if err := r.announced(string(r.line)); err != nil {
				return err
			}
			r.line = r.line[:0]
		}
		if r.seen+r.text+minElement*r.left > maxReply {
			return errReplyTooLong
		}
	}
	return nil
}

// announced reads a line that is an element or begins one.
func (r *replyBound) announced(line string) error {
	if line == "" {
		return errNoReply
	}
	r.left--
	kind, number := line[0], strings.TrimSuffix(line[1:], "\r")
	switch kind {
	case '+', '-', ':', '_', ',', '#', '(':
		return nil
	case '$', '!', '=', '*', '~', '>', '%', '|':
	default:
		return errNoReply
	}
	n, err := strconv.Atoi(number)
	switch {
	case errors.Is(err, strconv.ErrRange) || n > maxReply:
		return errReplyTooLong
	case err != nil || n < -1:
		return errNoReply
	case n == -1: // absent
		return nil
	}
	switch kind {
	case '$', '!', '=':
		r.text = n + len("\r\n")
	case '*', '~', '>':
		r.left += n
	case '%':
		r.left += 2 * n
	case '|':
		r.left += 2*n + 1 // an attribute precedes the element that it belongs to
	}
	return nil
}
