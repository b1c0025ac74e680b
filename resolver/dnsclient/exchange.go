package dnsclient

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// exchange asks one server one question and returns its reply if that is
// conclusive: NOERROR or NXDOMAIN.
func exchange(ctx context.Context, server netip.AddrPort, question dns.Question, packets *packets) (*dns.Msg, error) {
	reply, err := send(ctx, server, newQuery(question, true), packets)
	if err == nil && refusesEDNS(reply) {
		reply, err = send(ctx, server, newQuery(question, false), packets)
	}
	if err != nil {
		return nil, err
	}
	return reply, inconclusive(reply)
}

// send takes a query to the server over UDP and, where the answer is too long
// for that, over TCP.
func send(ctx context.Context, server netip.AddrPort, query *dns.Msg, packets *packets) (*dns.Msg, error) {
	reply, err := overUDP(ctx, server, query, packets)
	if err == nil && reply.Truncated {
		reply, err = overTCP(ctx, server, query)
	}
	return reply, err
}

// overUDP uses a socket of its own, so that the kernel picks a random port for
// each query and takes packets from the server alone (RFC 5452 section 9.2).
// What is no reply to the query is passed over, not an error: otherwise anyone
// who can send a forged packet could make a lookup fail.
func overUDP(ctx context.Context, server netip.AddrPort, query *dns.Msg, packets *packets) (*dns.Msg, error) {
	buf := packets.take()
	defer packets.put(buf)
	packed, err := query.PackBuffer(buf[:])
	if err != nil {
		return nil, err
	}
	var dialer net.Dialer
	conn, err := dialer.DialUDP(ctx, "udp", netip.AddrPort{}, server)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	defer interruptWith(ctx, conn)()
	if _, err := conn.Write(packed); err != nil {
		return nil, err
	}
	for {
		n, err := conn.Read(buf[:])
		if err != nil {
			return nil, err
		}
		if reply, err := parseReply(buf[:n], query); err == nil {
			return reply, nil
		}
	}
}

// packets are room for UDP messages, used again: replies are copied out of it.
type packets struct{ pool sync.Pool }

func (p *packets) take() *[readSize]byte {
	if buf, ok := p.pool.Get().(*[readSize]byte); ok {
		return buf
	}
	return new([readSize]byte)
}

func (p *packets) put(buf *[readSize]byte) { p.pool.Put(buf) }

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
