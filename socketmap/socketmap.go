// Package socketmap is the wire protocol between Postfix and the daemon: it reads
// lookups and writes replies, over socketmap_table(5) and tcp_table(5), within the
// limits of each. It knows no TLS policies: a Handler answers the lookups.
package socketmap

import (
	"context"
	"strings"
	"time"
)

// MaxRequest is the longest request that is read, in bytes.
const MaxRequest = 10_000

// Status is the outcome of a lookup.
type Status uint8

const (
	// OK: the map has the key, and the reply's data is its value.
	OK Status = iota + 1
	// NotFound: the map does not have the key. Postfix continues as if there were
	// no map.
	NotFound
	// Temp: the map cannot answer now. Postfix defers the mail and logs the data
	// as the reason.
	Temp
	// Perm: the request is malformed. Postfix defers the mail, as for Temp.
	Perm
)

// String returns the word that socketmap replies begin with.
func (s Status) String() string { return strings.TrimSpace(words[s]) }

// Request is one lookup. Its strings share memory with everything that was read
// together with them: a Handler must clone a string to keep it.
type Request struct {
	// Map is the name of the map, empty if the protocol has none.
	Map string
	Key string
	// At is when the request was read.
	At time.Time
	// Fits reports whether Postfix reads a reply with this data and status OK. A
	// longer one is replaced by an error.
	Fits func(data []byte) bool
}

// MapName is how a client asks: by the name of a map, over one of the protocols.
type MapName struct {
	Name string // may be empty over tcp_table(5)
	TCP  bool   // over tcp_table(5), whose replies are shorter; else over socketmap_table(5)
}

// String returns the name, with the protocol if that is tcp_table(5).
func (n MapName) String() string {
	if n.TCP {
		return strings.TrimSpace("tcp_table " + n.Name)
	}
	return n.Name
}

// Fits is Request.Fits of requests by this name.
func (n MapName) Fits(data []byte) bool {
	if n.TCP {
		return fitsLine(data)
	}
	return fitsNetstring(data)
}

// Reply is the outcome of one lookup.
type Reply struct {
	Status Status
	// Data is one line of printable ASCII: the value, or the reason for another
	// status. It may be empty for NotFound.
	Data []byte
}

// Handler answers lookups in two steps, so that the server can send the replies
// that are ready before it waits for others. Both methods append the data to dst;
// the Reply holds the result.
type Handler interface {
	// Answer returns the reply if memory has it. If ok is false, the server calls
	// Wait.
	Answer(dst []byte, req *Request) (reply Reply, ok bool)
	// Wait returns the reply, at the latest when ctx is done.
	Wait(ctx context.Context, dst []byte, req *Request) Reply
}

// Protocol is the syntax of requests and replies: Netstrings or TCPTable.
type Protocol interface {
	// next cuts the first request off in. It returns its text and how many bytes
	// of in it takes, 0 if the request is not complete. After an error, a
	// *ProtocolError, the beginning of the next request is unknown.
	next(in string) (text string, n int, err error)
	// parse reads a request's text into req, except its time. An error is the
	// answer to that request.
	parse(text string, req *Request) error
	// appendReply appends reply. If that is too long, it appends a Temp reply.
	appendReply(dst []byte, reply Reply) []byte
}

// ProtocolError says how a peer's bytes violate the protocol.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "malformed " + e.Reason }
