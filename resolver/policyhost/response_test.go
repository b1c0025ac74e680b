package policyhost

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// stranger is a policy host that repeats text for ever, whatever the request, and
// counts the bytes that are read. Behind TLS, a fetch sees nothing else.
type stranger struct {
	net.Conn
	text string
	read int
}

func (s *stranger) Write(p []byte) (int, error) { return len(p), nil }
func (s *stranger) SetDeadline(time.Time) error { return nil }
func (s *stranger) endedByTCP() bool            { return false }
func (s *stranger) get(t *testing.T) (string, error) {
	return get(t.Context(), s, testHost, policyPath)
}

func (s *stranger) Read(p []byte) (int, error) {
	if s.text == "" {
		return 0, io.EOF
	}
	n := copy(p, s.text[s.read%len(s.text):])
	s.read += n
	return n, nil
}

// maxRead is more than any fetch reads: the header, and a body in chunks of one
// byte.
const maxRead = maxHeaderLen + 32*mtasts.MaxPolicyLen

// With every framing of the body, the number of bytes read is limited.
func TestEndlessFraming(t *testing.T) {
	t.Parallel()
	const header = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
	for name, c := range map[string]struct{ text, message string }{
		"chunk size":       {header + strings.Repeat("0", 1<<20), "cut short after 0 bytes"},
		"chunk extension":  {header + "1;" + strings.Repeat("x", 1<<20), "cut short after 0 bytes"},
		"chunk extensions": {header + strings.Repeat("1;"+strings.Repeat("x", 999)+"\r\na\r\n", 1<<10), "too much non-data"},
		"trailer":          {header + "0\r\n" + strings.Repeat("x: y\r\n", 1<<18), "cut short after 0 bytes"},
	} {
		s := &stranger{text: c.text}
		text, err := s.get(t)
		if err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("%s: %.40q, error %v, want one with %q", name, text, err, c.message)
		}
		if s.read > maxRead {
			t.Errorf("%s: %d bytes were read", name, s.read)
		}
	}
}

// For every response, a fetch reads no more than its limits, accepts only status
// 200 and text/plain, and returns a printable message if it fails.
func FuzzGet(f *testing.F) {
	for _, seed := range []string{
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\ntext",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4, 4\r\n\r\ntext",
		"HTTP/1.0 200 OK\nContent-Type: text/plain\n\ntext",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=\xff\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\ntext\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Type: TEXT/plain\r\nContent-Encoding: identity\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n\r\n\x1f\x8b",
		"HTTP/1.1 301 \x1b[31m\r\nLocation: https://example.com/\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 99999999999999999999\r\n\r\n",
		"220 mx.example.com ESMTP\r\n",
		"\x15\x03\x01\x00\x02\x02\x28",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		s := &stranger{text: sent}
		text, err := s.get(t)
		if s.read > maxRead {
			t.Errorf("%d bytes were read", s.read)
		}
		if err != nil {
			checkPrintable(t, newFetchError(testHost, err))
			return
		}
		if len(text) > mtasts.MaxPolicyLen {
			t.Errorf("a text of %d bytes", len(text))
		}
		for _, needed := range []string{"200", "content-type", mediaType} {
			if !strings.Contains(strings.ToLower(sent+sent), needed) {
				t.Errorf("taken without %s: %q", needed, sent)
			}
		}
	})
}
