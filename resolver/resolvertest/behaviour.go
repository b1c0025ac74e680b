package resolvertest

import (
	"bytes"
	"compress/gzip"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// drip is the time between two bytes of a host that drips.
const drip = 10 * time.Millisecond

// Behaviour is how a policy host treats those who connect. The Host functions
// name the usual ones; a test may write its own.
type Behaviour struct {
	Leaf            func(host string) Leaf // its certificate; nil: a good one
	MaxVersion      uint16                 // of TLS; 0: the newest
	CipherSuites    []uint16               // of TLS 1.2; nil: crypto/tls's
	BeforeHandshake func(net.Conn)         // called when the client hello is in; may be nil
	Respond         func(*HostExchange)    // answers a GET of the policy; the connection is closed after it
}

// HostExchange is one request on its way to a response.
type HostExchange struct {
	Request *http.Request
	Conn    net.Conn // inside TLS

	done <-chan struct{}
}

// respond sends status and body, with header lines such as
// "Content-Type: text/plain" and the body's Content-Length.
func (x *HostExchange) respond(status int, body string, header ...string) {
	x.start(status, append(header, fmt.Sprintf("Content-Length: %d", len(body)))...)
	io.WriteString(x.Conn, body) // the client may be gone; the test does not fail for that
}

// start sends a status line and header lines, all of them.
func (x *HostExchange) start(status int, header ...string) {
	var b strings.Builder
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", status, http.StatusText(status))
	for _, line := range header {
		b.WriteString(line + "\r\n")
	}
	b.WriteString("\r\n")
	io.WriteString(x.Conn, b.String())
}

// hang keeps the connection until the client closes it or the test ends.
func hang(conn net.Conn) { io.Copy(io.Discard, conn) }

const textPlain = "Content-Type: text/plain"

// PaddedPolicy returns a valid policy of exactly size bytes, at least 100.
func PaddedPolicy(size int) string {
	const policy = "version: STSv1\nmode: enforce\nmx: mx.example.com\nmax_age: 86400\npadding: "
	return policy + strings.Repeat("x", size-len(policy)-1) + "\n"
}

// HostPolicy serves text as it should be served.
func HostPolicy(text string) Behaviour { return HostContentType("text/plain", text) }

// HostContentType serves text as that Content-Type; "" sends none.
func HostContentType(contentType, text string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		if contentType == "" {
			x.respond(http.StatusOK, text)
			return
		}
		x.respond(http.StatusOK, text, "Content-Type: "+contentType)
	}}
}

// HostStatus serves text, but with another status than 200.
func HostStatus(status int, text string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) { x.respond(status, text, textPlain) }}
}

// HostRedirect sends the client on to the policy host of another domain.
func HostRedirect(status int, domain string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		x.respond(status, "", "Location: https://"+policyHostLabel+domain+policyPath)
	}}
}

// HostGzip serves text compressed, whatever the client accepts.
func HostGzip(text string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		io.WriteString(w, text)
		w.Close()
		x.respond(http.StatusOK, b.String(), textPlain, "Content-Encoding: gzip")
	}}
}

// HostChunked serves text in chunks of one byte.
func HostChunked(text string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		x.start(http.StatusOK, textPlain, "Transfer-Encoding: chunked")
		var b strings.Builder
		for i := range len(text) {
			b.WriteString("1\r\n" + text[i:i+1] + "\r\n")
		}
		b.WriteString("0\r\n\r\n")
		io.WriteString(x.Conn, b.String())
	}}
}

// HostDelay serves text after delay.
func HostDelay(delay time.Duration, text string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		timer := time.NewTimer(delay)
		defer timer.Stop()
		select {
		case <-timer.C:
			x.respond(http.StatusOK, text, textPlain)
		case <-x.done:
		}
	}}
}

// HostShortBody promises more than text and closes after it.
func HostShortBody(text string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		x.start(http.StatusOK, textPlain, fmt.Sprintf("Content-Length: %d", len(text)+1))
		io.WriteString(x.Conn, text)
	}}
}

// HostEndlessHeader sends header lines as fast as they are read, without end.
func HostEndlessHeader() Behaviour {
	return endless("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n", "X-Padding: "+strings.Repeat("x", 1000)+"\r\n")
}

// HostEndlessBody sends a body as fast as it is read, without end.
func HostEndlessBody() Behaviour {
	return endless("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", "padding: "+strings.Repeat("x", 1000)+"\n")
}

// HostEndlessInterim sends interim responses (RFC 9110 section 15.2) without
// end.
func HostEndlessInterim() Behaviour { return endless("", "HTTP/1.1 103 Early Hints\r\n\r\n") }

func endless(start, more string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		for _, err := io.WriteString(x.Conn, start); err == nil; {
			_, err = io.WriteString(x.Conn, more)
		}
	}}
}

// HostDripsHeader sends its header a byte at a time, without end.
func HostDripsHeader() Behaviour {
	return drips("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Padding: ")
}

// HostDripsBody sends its body a byte at a time, without end.
func HostDripsBody() Behaviour {
	return drips("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nversion: STSv1\npadding: ")
}

func drips(start string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		for _, err := io.WriteString(x.Conn, start); err == nil; time.Sleep(drip) {
			_, err = io.WriteString(x.Conn, "x")
		}
	}}
}

// HostHangs reads the request and never answers.
func HostHangs() Behaviour {
	return Behaviour{Respond: func(x *HostExchange) { hang(x.Conn) }}
}

// HostHangsInHandshake reads the client hello and never answers.
func HostHangsInHandshake() Behaviour { return Behaviour{BeforeHandshake: hang} }

// HostCloses closes the connection in place of the handshake.
func HostCloses() Behaviour {
	return Behaviour{BeforeHandshake: func(conn net.Conn) { conn.Close() }}
}

// HostTLS11 serves text, but by no newer TLS than 1.1.
func HostTLS11(text string) Behaviour {
	b := HostPolicy(text)
	b.MaxVersion = tls.VersionTLS11
	return b
}

// HostOldCipherSuites serves text, but only with TLS 1.2 and those cipher suites.
func HostOldCipherSuites(text string, suites ...uint16) Behaviour {
	b := HostPolicy(text)
	b.MaxVersion, b.CipherSuites = tls.VersionTLS12, suites
	return b
}

// HostWrongName serves text with a certificate for another name.
func HostWrongName(text string) Behaviour {
	return withLeaf(text, func(string) Leaf { return Leaf{Names: []string{"other.example.com"}} })
}

// HostNameInCommonName serves text with a certificate that names the host in
// its subject alone.
func HostNameInCommonName(text string) Behaviour {
	return withLeaf(text, func(host string) Leaf { return Leaf{CommonName: host} })
}

// HostExpired serves text with a certificate that has run out.
func HostExpired(text string) Behaviour {
	expired := time.Now().Add(-time.Hour)
	return withLeaf(text, func(host string) Leaf { return Leaf{Names: []string{host}, NotAfter: expired} })
}

// HostSelfSigned serves text with a certificate that no authority has signed.
func HostSelfSigned(text string) Behaviour {
	return withLeaf(text, func(host string) Leaf { return Leaf{Names: []string{host}, SelfSigned: true} })
}

func withLeaf(text string, leaf func(host string) Leaf) Behaviour {
	b := HostPolicy(text)
	b.Leaf = leaf
	return b
}

// HostCut sends response as it stands and closes TCP without a TLS close_notify, as
// anyone on the way could.
func HostCut(response string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) {
		io.WriteString(x.Conn, response)
		x.Conn.(*tls.Conn).NetConn().Close()
	}}
}

// HostRaw sends response as it stands and closes.
func HostRaw(response string) Behaviour {
	return Behaviour{Respond: func(x *HostExchange) { io.WriteString(x.Conn, response) }}
}
