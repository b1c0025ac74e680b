package shared

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/redis/go-redis/v9"
)

var (
	errClosed  = errors.New("the daemon stops")
	errDropped = errors.New("too much else waits to be written")
)

// Error says why the shared store could not be used. Its message is one line of
// printable ASCII, whatever a server sent, and has no password in it.
type Error struct{ Err error }

// wrongType is the beginning of a server's error reply if a key is of another type
// than a string.
const wrongType = "WRONGTYPE"

const maxMessage = 300 // bytes of a server's message that are repeated

func (e *Error) Error() string {
	var timeout net.Error
	switch {
	case isReply(e.Err):
		return fmt.Sprintf("the server answers %s", quote(e.Err.Error()))
	case errors.Is(e.Err, context.DeadlineExceeded), errors.As(e.Err, &timeout) && timeout.Timeout():
		return "no answer in time"
	}
	return strings.Trim(quote(e.Err.Error()), `"`)
}

func (e *Error) Unwrap() error { return e.Err }

// quote quotes the beginning of text that a server sent.
func quote(s string) string {
	if len(s) > maxMessage {
		return fmt.Sprintf("%+q...", s[:maxMessage])
	}
	return fmt.Sprintf("%+q", s)
}

// isReply reports whether err is a server's error reply.
func isReply(err error) bool {
	_, ok := errors.AsType[redis.Error](err)
	return ok
}

// isForeign reports whether err means that a key has something else than a value.
// The store works then.
func isForeign(err error) bool { return redis.HasErrorPrefix(err, wrongType) }
