// Package socketmap is the wire: how Postfix's lookups arrive and how replies
// go back, each with its limits (socketmap_table(5), tcp_table(5)). It knows no
// policy; what a lookup means is its Handler's business.
package socketmap

import (
	"context"
	"strings"
	"time"
)

// MaxRequest is the longest request that is read, in bytes.
const MaxRequest = 10_000

// Status is what a reply says of a lookup.
type Status uint8

const (
	// OK: the reply's data is what the map holds under the key.
	OK Status = iota + 1
	// NotFound: the map holds nothing under the key. Postfix goes on as if it
	// had no such map.
	NotFound
	// Temp: the map cannot tell now. Postfix defers the mail and logs the data
	// as the reason.
	Temp
	// Perm: the request makes no sense. Postfix defers the mail all the same.
	Perm
)

// String returns the word that socketmap replies begin with.
func (s Status) String() string { return strings.TrimSpace(words[s]) }

// Request is one lookup. Its strings share the memory of all that was read with
// them: what is kept past the Handler's return is to be cloned.
type Request struct {
	// Map is the name of the map asked, empty where the protocol has none.
	Map string
	Key string
	// At is when the request was read.
	At time.Time
	// Fits reports whether a reply with this data and status OK is one that
	// Postfix will read; a longer one is replaced by an error.
	Fits func(data []byte) bool
}

// Reply is the outcome of one lookup.
type Reply struct {
	Status Status
	// Data is one line of printable ASCII: the value found, or the reason why
	// there is none, which may be empty for NotFound.
	Data []byte
}

// Handler answers lookups in two steps, so that the server can send what is
// ready before it waits for what is not. Both append the data to dst, which
// the Reply then holds.
type Handler interface {
	// Answer gives the reply that memory can give at once. ok is false where
	// there is none: then Wait is called.
	Answer(dst []byte, req *Request) (reply Reply, ok bool)
	// Wait gives the reply in the end, at the latest when ctx is done.
	Wait(ctx context.Context, dst []byte, req *Request) Reply
}

// Protocol is how requests and replies look on the wire: Netstrings or
// TCPTable.
type Protocol interface {
	// next cuts the first request off in: its text and how many bytes of in it
	// takes, 0 where more must be read first. After an error, a *ProtocolError,
	// nobody can tell where the next request begins.
	next(in string) (text string, n int, err error)
	// parse reads a request's text into req, all but its time. An error is the
	// answer to that request.
	parse(text string, req *Request) error
	// appendReply appends reply; one that would be too long becomes Temp.
	appendReply(dst []byte, reply Reply) []byte
}

// ProtocolError says why a peer's bytes are not what the protocol wants.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "malformed " + e.Reason }
