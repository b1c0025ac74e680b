package publish

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/textproto"
	"os"
	"slices"
	"strings"
	"time"

	"mta-sts-daemon/resolver/printable"
)

// Bounds of a conversation with a mail server.
const (
	connectLimit = 10 * time.Second
	// sessionLimit is long because servers delay their greeting against spam.
	sessionLimit = 60 * time.Second
	// maxSession is how many bytes are read: replies and the certificates.
	maxSession = 256 << 10
	maxReply   = 200 // bytes of a reply that are repeated
)

// stage is how far a conversation has come. The next one is what failed.
type stage int

const (
	notConnected stage = iota
	connected          // no usable greeting
	greeted            // no answer to EHLO
	offered            // STARTTLS is not offered
	asked              // STARTTLS was refused
	started            // the TLS handshake failed
	secured
)

// session is the result of a conversation with a mail server at one address.
type session struct {
	stage stage
	err   error               // why it went no further; its message is printable
	state tls.ConnectionState // if secured
}

var errNoSTARTTLS = errors.New("STARTTLS is not among the extensions")

// talk connects to a mail server and goes as far as the TLS handshake (RFC 3207). It
// verifies no certificate and takes old versions of TLS, because the caller wants to
// see them.
func talk(ctx context.Context, host string, at netip.AddrPort) session {
	dialing, cancel := context.WithTimeout(ctx, connectLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(dialing, "tcp", at.String())
	if err != nil {
		if dialing.Err() == context.DeadlineExceeded {
			err = fmt.Errorf("no answer within %v", connectLimit)
		}
		return session{notConnected, readable(err), tls.ConnectionState{}}
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(sessionLimit))
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	s := session{stage: connected}
	s.err = s.converse(&limitedConn{conn, maxSession}, host)
	return s
}

func (s *session) converse(conn net.Conn, host string) error {
	client := textproto.NewConn(conn)
	expect := func(code int) (string, error) {
		_, text, err := client.ReadResponse(code)
		return text, readable(err)
	}
	if _, err := expect(220); err != nil {
		return err
	}
	s.stage = greeted
	client.PrintfLine("EHLO %s", ownName(conn)) // if that fails, so does reading the reply
	text, err := expect(250)
	if err != nil {
		return err
	}
	s.stage = offered
	_, extensions, _ := strings.Cut(text, "\n")
	if !offersSTARTTLS(extensions) {
		client.PrintfLine("QUIT")
		return errNoSTARTTLS
	}
	s.stage = asked
	client.PrintfLine("STARTTLS")
	if _, err := expect(220); err != nil {
		return err
	}
	s.stage = started
	if client.R.Buffered() > 0 {
		return errors.New("the server sent more than its reply to STARTTLS before TLS began")
	}
	secure := tls.Client(conn, &tls.Config{ServerName: host, InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, CipherSuites: allCipherSuites()})
	if err := secure.Handshake(); err != nil {
		return readable(err)
	}
	s.stage, s.state = secured, secure.ConnectionState()
	fmt.Fprint(secure, "QUIT\r\n") // the server's farewell is not needed
	return nil
}

// allCipherSuites are those of TLS 1.2 and before that are known, insecure ones too: a
// server that has no better ones fails for few senders.
func allCipherSuites() (ids []uint16) {
	for _, suite := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		ids = append(ids, suite.ID)
	}
	return ids
}

func offersSTARTTLS(extensions string) bool {
	for line := range strings.SplitSeq(extensions, "\n") {
		if strings.EqualFold(strings.TrimSpace(line), "STARTTLS") {
			return true
		}
	}
	return false
}

// ownName is the name for EHLO: this host's if it is fully qualified, else its
// address (RFC 5321 section 4.1.3).
func ownName(conn net.Conn) string {
	if name, err := os.Hostname(); err == nil && strings.Contains(name, ".") {
		return printable.Line(name, maxReply)
	}
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	switch addr := local.Addr().Unmap(); {
	case err != nil:
		return "localhost"
	case addr.Is6():
		return "[IPv6:" + addr.WithZone("").String() + "]"
	default:
		return "[" + addr.String() + "]"
	}
}

// readable makes one printable line of an error that may contain bytes of a server.
func readable(err error) error {
	var network *net.OpError
	switch {
	case err == nil:
		return nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("not done within %v", sessionLimit)
	case errors.Is(err, errTooLong):
		return errTooLong
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("the server closed the connection")
	case errors.As(err, &network) && network.Op != "remote error":
		err = network.Err
	}
	if call, ok := errors.AsType[*os.SyscallError](err); ok {
		err = call.Err
	}
	if reply, ok := errors.AsType[*textproto.Error](err); ok {
		return refusal(fmt.Sprintf("%d %s", reply.Code, printable.Line(reply.Msg, maxReply)))
	}
	return &printableError{printable.Line(err.Error(), maxReply), err}
}

// refusal is a reply that is not the one that was hoped for.
type refusal string

func (r refusal) Error() string { return string(r) }

// printableError has another message.
type printableError struct {
	message string
	err     error
}

func (e *printableError) Error() string { return e.message }
func (e *printableError) Unwrap() error { return e.err }

var errTooLong = fmt.Errorf("the server sent more than %d bytes", maxSession)

// limitedConn fails when more than left bytes have been read.
type limitedConn struct {
	net.Conn
	left int
}

func (c *limitedConn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, errTooLong
	}
	n, err := c.Conn.Read(p[:min(len(p), c.left)])
	c.left -= n
	return n, err
}
