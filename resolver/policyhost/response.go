package policyhost

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// maxHeaderLen bounds all that comes before a response's body, interim responses
// included, in bytes.
const maxHeaderLen = 32 << 10

// bufferSize is how much of a response is read at once, in bytes: about as long as
// most policies with their header are.
const bufferSize = 1 << 10

// readResponse reads the next final response from conn. Interim responses (RFC
// 9110 section 15.2) are skipped, except 101: no upgrade was asked for.
//
// The response's body must not be closed: http.Response reads a chunked one to
// its end before it closes, however far off that is. Closing conn does all
// that is needed.
func readResponse(conn io.Reader, request *http.Request) (*http.Response, error) {
	r := bufio.NewReaderSize(conn, bufferSize)
	for room := maxHeaderLen; ; {
		header, err := readHeader(r, room)
		if err != nil {
			return nil, err
		}
		room -= len(header)
		response, err := http.ReadResponse(bufio.NewReaderSize(io.MultiReader(bytes.NewReader(header), r), bufferSize), request)
		if err != nil {
			return nil, err
		}
		if response.StatusCode >= 200 || response.StatusCode == http.StatusSwitchingProtocols {
			return response, nil
		}
	}
}

// readHeader reads a response's status line and header, and the empty line behind
// them, in at most room bytes. If the first line is not a status line, it ends there.
func readHeader(r *bufio.Reader, room int) (header []byte, err error) {
	for line := 0; ; line++ {
		start := len(header)
		for more := true; more; {
			part, err := r.ReadSlice('\n')
			header = append(header, part...)
			more = err == bufio.ErrBufferFull
			switch {
			case len(header) > room:
				return nil, fmt.Errorf("response header longer than %d bytes", maxHeaderLen)
			case more || err == nil:
			case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
				return nil, errors.New("connection closed before the end of the response header")
			default:
				return nil, err
			}
		}
		switch text := bytes.TrimRight(header[start:], "\r\n"); {
		case len(text) == 0, line == 0 && !bytes.HasPrefix(text, []byte("HTTP/")):
			return header, nil
		default:
			header = append(header[:start], oneLength(text)...)
			header = append(header, "\r\n"...)
		}
	}
}

// oneLength returns a header line as it came, except that of a Content-Length that
// lists one number several times one is left (RFC 9110 section 8.6). Package
// net/http takes that in several lines, but not in one.
func oneLength(line []byte) []byte {
	name, value, _ := bytes.Cut(line, []byte(":"))
	if !bytes.EqualFold(name, []byte("Content-Length")) {
		return line
	}
	numbers := bytes.Split(value, []byte(","))
	number := bytes.Trim(numbers[0], " \t")
	for _, other := range numbers[1:] {
		if !bytes.Equal(bytes.Trim(other, " \t"), number) {
			return line
		}
	}
	return fmt.Appendf(nil, "%s: %s", name, number)
}

// statusText leaves out the reason phrase of the response, which may be anything.
func statusText(response *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
}

// interruptAtEnd makes what waits on conn fail as soon as ctx ends, until the
// returned function is called.
func interruptAtEnd(ctx context.Context, conn net.Conn) (release func()) {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	return func() { stop() }
}
