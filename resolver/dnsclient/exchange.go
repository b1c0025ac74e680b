package dnsclient

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"

	"github.com/miekg/dns"
)

// exchange is one question to one server. The wait for the reply has two steps.
// waitBriefly cannot be interrupted, is mostly enough and saves the cost of an
// interruptible wait; wait is for the rest.
type exchange struct {
	sockets *sockets
	server  netip.AddrPort
	query   query
	asked   *socket // on which the reply over UDP is awaited; nil once that has ended
	reply   *dns.Msg
	err     error
}

// begin readies q for server, to be asked over UDP.
func begin(ctx context.Context, sockets *sockets, server netip.AddrPort, q query) exchange {
	x := exchange{sockets: sockets, server: server}
	x.ask(ctx, q)
	return x
}

// ask makes q the question, which goes out when its reply is waited for.
func (x *exchange) ask(ctx context.Context, q query) {
	x.query = q
	if x.asked, x.err = x.sockets.open(ctx, x.server); x.err == nil {
		x.asked.pose(q)
	}
}

// waitBriefly waits until the given time for the reply over UDP and returns it if it
// is conclusive, else nil. In that case finish has to be called.
func (x *exchange) waitBriefly(until time.Time) *dns.Msg {
	if x.asked == nil {
		return nil
	}
	x.asked.SetReadDeadline(until)
	if x.reply, x.err = x.asked.receive(x.query); errors.Is(x.err, os.ErrDeadlineExceeded) {
		return nil
	}
	x.giveBack()
	if x.err != nil || x.reply.Truncated || inconclusive(x.reply) != nil {
		return nil
	}
	return x.reply
}

// wait waits for the reply over UDP as long as ctx lasts.
func (x *exchange) wait(ctx context.Context) {
	if x.asked == nil {
		return
	}
	x.asked.SetReadDeadline(time.Time{}) // that of waitBriefly, or of the question before, has passed
	stop := interruptWith(ctx, x.asked)
	x.reply, x.err = x.asked.receive(x.query)
	if !stop() {
		x.asked.spoilt = true // its deadline may be moved even now
	}
	x.giveBack()
}

// giveBack ends the use of the socket.
func (x *exchange) giveBack() {
	if x.err != nil {
		x.asked.spoilt = true // the reply may come yet
	}
	x.sockets.giveBack(x.asked)
	x.asked = nil
}

// finish waits for the reply for as long as ctx lasts. It asks again over TCP if the
// reply was truncated, and without EDNS if the server does not know that.
// It returns the reply if that is conclusive: NOERROR or NXDOMAIN.
func (x *exchange) finish(ctx context.Context) (*dns.Msg, error) {
	x.wait(ctx)
	x.enlarge(ctx)
	if x.err == nil && refusesEDNS(x.reply) {
		x.ask(ctx, x.query.withoutEDNS())
		x.wait(ctx)
		x.enlarge(ctx)
	}
	if x.err != nil {
		return nil, x.err
	}
	return x.reply, inconclusive(x.reply)
}

// enlarge asks over TCP if the reply is too long for UDP.
func (x *exchange) enlarge(ctx context.Context) {
	if x.err == nil && x.reply.Truncated {
		x.reply, x.err = overTCP(ctx, x.server, x.query)
	}
}

// overTCP asks over a connection of its own (RFC 7766). Only the server can write to it,
// so an invalid reply is an error here; over UDP it would be ignored.
func overTCP(ctx context.Context, server netip.AddrPort, q query) (*dns.Msg, error) {
	var dialer net.Dialer
	conn, err := dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer interruptWith(ctx, conn)()
	id := dns.Id()
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(q.message)))
	if _, err := conn.Write(q.appendTo(framed, id)); err != nil {
		return nil, err
	}
	var length [2]byte
	if _, err := io.ReadFull(conn, length[:]); err != nil {
		return nil, noReply(err)
	}
	buf := make([]byte, binary.BigEndian.Uint16(length[:]))
	if _, err := io.ReadFull(conn, buf); err != nil {
		return nil, noReply(err)
	}
	reply, err := parseReply(buf, q, id)
	if err == nil && reply.Truncated {
		return nil, errTruncated
	}
	return reply, err
}

// interruptWith ends all reading and writing on conn when ctx ends, unless stop is
// called before.
func interruptWith(ctx context.Context, conn net.Conn) (stop func() bool) {
	return context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
}

var errTCPClosed = errors.New("TCP connection closed before the whole reply")

func noReply(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return errTCPClosed
	}
	return err
}
