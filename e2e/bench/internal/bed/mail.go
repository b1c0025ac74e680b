package bed

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"

	"golang.org/x/sys/unix"
)

// Replies of an MX host. It offers STARTTLS only without TLS.
const (
	greeting      = "220 mx ESMTP\r\n"
	offers        = "250-mx\r\n250-PIPELINING\r\n250 8BITMIME\r\n"
	offersTLS     = "250-mx\r\n250-PIPELINING\r\n250-STARTTLS\r\n250 8BITMIME\r\n"
	startTLS      = "220 start\r\n"
	startMail     = "354 go on\r\n"
	accepted      = "250 ok\r\n"
	closingThanks = "221 bye\r\n"
)

// ServeMail accepts all mail for the MX hosts, with STARTTLS (RFC 3207) and resumption
// of sessions, and drops it, until l is closed.
func (h *Hosts) ServeMail(l net.Listener) error {
	config := &tls.Config{GetCertificate: h.certificate}
	return serve(l, func(conn net.Conn) { receive(conn, config) })
}

// receive speaks SMTP with one client. After STARTTLS it goes on with the
// connection inside of TLS. A client that breaks off is its own fault.
func receive(conn net.Conn, config *tls.Config) {
	defer func() { conn.Close() }() // of TLS, if it has begun
	in, out := bufio.NewReader(conn), bufio.NewWriter(conn)
	hello := offersTLS
	out.WriteString(greeting)
	for {
		if in.Buffered() == 0 { // replies to pipelined commands travel together
			if out.Flush() != nil {
				return
			}
		}
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		verb, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch strings.ToUpper(verb) {
		case "EHLO":
			out.WriteString(hello)
		case "STARTTLS":
			out.WriteString(startTLS)
			if out.Flush() != nil {
				return
			}
			inside := tls.Server(conn, config)
			if inside.Handshake() != nil || acknowledge(conn) != nil {
				return
			}
			conn = inside
			in, out, hello = bufio.NewReader(conn), bufio.NewWriter(conn), offers
		case "DATA":
			out.WriteString(startMail)
			if out.Flush() != nil {
				return
			}
			if _, err := io.Copy(io.Discard, textproto.NewReader(in).DotReader()); err != nil {
				return
			}
			out.WriteString(accepted)
		case "QUIT":
			out.WriteString(closingThanks)
			out.Flush()
			return
		default:
			out.WriteString(accepted)
		}
	}
}

// acknowledge sends the kernel's delayed acknowledgement at once. A server with OpenSSL
// sends session tickets after the client's last message of the handshake, Go's before
// it; without a segment from the server the client's next command would wait 40 ms.
func acknowledge(conn net.Conn) error {
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_QUICKACK, 1) })
	return errors.Join(err, failed)
}
