package policyhost

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"strings"
	"time"
)

// maxHeaderLen bounds all that comes before a response's body, interim
// responses included, in octets.
const maxHeaderLen = 32 << 10

// readResponse reads the next final response from conn. Interim ones (RFC 9110
// section 15.2) are passed over, but for 101: no upgrade was asked for.
//
// The response's body must not be closed: http.Response reads a chunked one to
// its end before it closes, however far off that is. Closing conn does all
// that is needed.
func readResponse(conn io.Reader, request *http.Request) (*http.Response, error) {
	limited := &io.LimitedReader{R: conn, N: maxHeaderLen}
	r := bufio.NewReader(limited)
	for {
		response, err := http.ReadResponse(r, request)
		switch {
		case err == nil && response.StatusCode < 200 && response.StatusCode != http.StatusSwitchingProtocols:
			continue
		case err == nil:
			limited.N = math.MaxInt64 // the body has a limit of its own
			return response, nil
		case limited.N == 0:
			return nil, fmt.Errorf("response header longer than %d octets", maxHeaderLen)
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil, errors.New("connection closed before the end of the response header")
		default:
			return nil, err
		}
	}
}

// statusText leaves out the reason phrase that came: it is a stranger's.
func statusText(response *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
}

// interruptAtEnd makes what waits on conn fail as soon as ctx ends, until the
// returned function is called.
func interruptAtEnd(ctx context.Context, conn net.Conn) (release func()) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}

// orCause returns why ctx ended, where it has ended, in place of the error
// that its end brought about.
func orCause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
