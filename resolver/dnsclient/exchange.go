package dnsclient

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// exchange asks one server one question and returns its reply if that is
// conclusive: NOERROR or NXDOMAIN.
func exchange(ctx context.Context, server netip.AddrPort, question dns.Question, sockets *sockets) (*dns.Msg, error) {
	reply, err := send(ctx, server, newQuery(question, true), sockets)
	if err == nil && refusesEDNS(reply) {
		reply, err = send(ctx, server, newQuery(question, false), sockets)
	}
	if err != nil {
		return nil, err
	}
	return reply, inconclusive(reply)
}

// send takes a query to the server over UDP and, where the answer is too long
// for that, over TCP.
func send(ctx context.Context, server netip.AddrPort, query *dns.Msg, sockets *sockets) (*dns.Msg, error) {
	reply, err := overUDP(ctx, server, query, sockets)
	if err == nil && reply.Truncated {
		reply, err = overTCP(ctx, server, query)
	}
	return reply, err
}

// overUDP puts a query to the server on a socket that has no other.
func overUDP(ctx context.Context, server netip.AddrPort, query *dns.Msg, sockets *sockets) (*dns.Msg, error) {
	s, err := sockets.open(ctx, server)
	if err != nil {
		return nil, err
	}
	buf := sockets.packets.take()
	defer sockets.packets.put(buf)
	stop := interruptWith(ctx, s)
	reply, clean, err := s.ask(query, buf[:])
	if stop() && clean {
		sockets.keep(s)
	} else {
		s.Close()
	}
	return reply, err
}

// ask puts query on the wire, under an id of its own, and waits for the reply.
// What is no reply to the query is passed over, not an error: otherwise anyone
// who can send a forged packet could make a lookup fail. clean is set where the
// reply came and nothing before it.
func (s *socket) ask(query *dns.Msg, buf []byte) (reply *dns.Msg, clean bool, err error) {
	query.Id = s.newID()
	packed, err := query.PackBuffer(buf)
	if err != nil {
		return nil, false, err
	}
	if _, err := s.Write(packed); err != nil {
		return nil, false, err
	}
	for clean = true; ; clean = false {
		n, err := s.Read(buf)
		if err != nil {
			return nil, false, err
		}
		if reply, err := parseReply(buf[:n], query); err == nil {
			return reply, clean, nil
		}
	}
}

// overTCP asks over a connection of its own (RFC 7766). Whoever can speak on it
// is the server, so a reply that is none is the server's fault.
func overTCP(ctx context.Context, server netip.AddrPort, query *dns.Msg) (*dns.Msg, error) {
	query.Id = dns.Id()
	packed, err := query.Pack()
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialTCP(ctx, "tcp", netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer interruptWith(ctx, conn)()
	framed := binary.BigEndian.AppendUint16(nil, uint16(len(packed)))
	if _, err := conn.Write(append(framed, packed...)); err != nil {
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
	reply, err := parseReply(buf, query)
	if err == nil && reply.Truncated {
		return nil, errTruncated
	}
	return reply, err
}

// interruptWith ends all reading and writing on conn when ctx ends. The
// function that it returns calls that off.
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
