package publish

import (
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func TestNoAnswer(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := netip.MustParseAddrPort(listener.Addr().String())
	listener.Close()
	if s := talk(t.Context(), "mx.example", at); s.stage != notConnected || s.err.Error() != "connection refused" {
		t.Errorf("stage %d, %v", s.stage, s.err)
	}
}

// Whatever a server sends, the conversation ends within its bounds, with an error of one
// printable line: no random bytes make a TLS handshake.
func FuzzConversation(f *testing.F) {
	for _, seed := range []string{
		"", "220 mx\r\n", "220 mx\r\n250-mx\r\n250 STARTTLS\r\n220 go\r\n", "220-a\r\n220 b\r\n250 mx\r\n", "554 \x1b[31m\r\n",
		"220 mx\r\n250-mx\r\n250 starttls\r\n220 go\r\n\x15\x03\x01\x00\x02\x02\x28", "4\r\n", "220\n250\n", strings.Repeat("220-x\r\n", 9),
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, sent []byte) {
		client, server := net.Pipe()
		defer client.Close()
		go io.Copy(io.Discard, server)
		go func() {
			server.Write(sent)
			server.Close()
		}()
		client.SetDeadline(time.Now().Add(time.Minute))
		limited := &limitedConn{client, 1 << 10}
		s := session{stage: connected}
		err := s.converse(limited, "mx.example")
		if err == nil || s.stage == secured {
			t.Fatalf("%q is a mail server with TLS", sent)
		}
		if text := err.Error(); text == "" || len(text) > 2*maxReply || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%q is not a line of printable ASCII", text)
		}
		if limited.left < 0 {
			t.Errorf("%d bytes were read over the limit", -limited.left)
		}
	})
}
