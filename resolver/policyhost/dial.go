package policyhost

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"mta-sts-daemon/resolver/internal/race"
	"mta-sts-daemon/resolver/mtasts"
)

const (
	// stagger is how long an address is given before the next is tried in
	// parallel with it: the Connection Attempt Delay of RFC 8305 section 5.
	stagger = 300 * time.Millisecond

	// maxAddresses bounds how many hosts the DNS answer of an attacker can make one
	// fetch knock at.
	maxAddresses = 32
)

// policyConn is a connection to a policy host whose certificate has been
// verified. It has a place at the host's address until it is closed.
type policyConn struct {
	*tls.Conn
	addr  netip.AddrPort // of the policy host, also behind a proxy
	place *place
	tcp   *tcpConn
}

// Close sends close_notify and closes the connection.
func (c *policyConn) Close() error {
	defer c.place.leave()
	return c.Conn.Close()
}

// abandon closes the connection without close_notify, which could block.
func (c *policyConn) abandon() {
	c.NetConn().Close()
	c.place.leave()
}

// endedByTCP returns whether the host closed the connection without close_notify.
func (c *policyConn) endedByTCP() bool { return c.tcp.ended }

// tcpConn notes when the other end of a connection closes it. crypto/tls returns
// io.EOF for that and for close_notify alike.
type tcpConn struct {
	net.Conn
	ended bool // written and read by whoever reads the connection
}

func (c *tcpConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil {
		c.ended = true
	}
	return n, err
}

// dial connects to d's policy host at whichever of its addresses is the first to
// complete a verified handshake.
func (c *Client) dial(ctx context.Context, d mtasts.Domain, roots *x509.CertPool) (*policyConn, error) {
	host := d.PolicyHost()
	addrs, err := c.addresses(ctx, host)
	switch {
	case ctx.Err() == context.Canceled:
		return nil, orCause(ctx, err)
	case err != nil:
		return nil, &faultError{FaultDNS, err}
	}
	targets := c.targets(addrs)
	if len(targets) == 0 {
		return nil, errors.New("the host has no addresses")
	}
	targets, refused := c.usable(ctx, targets)
	if len(targets) == 0 {
		return nil, refused
	}
	dial, err := c.dialer(ctx)
	if err != nil {
		return nil, &faultError{FaultLocal, orCause(ctx, err)}
	}
	seen := outcomes{states: make([]attemptState, len(targets))}
	conn, err := race.First(ctx, len(targets), stagger, stagger,
		func(ctx context.Context, i int) (*policyConn, error) {
			conn, err := c.attempt(ctx, dial, roots, d, targets[i], func(s attemptState) { seen.set(i, s) })
			if err != nil && ctx.Err() != nil {
				return nil, err // an attempt that was called off says nothing of the address
			}
			witnessOf(ctx).sawAttempt(targets[i].Addr(), conn, err)
			if err != nil {
				seen.failed(i, err)
			}
			return conn, err
		},
		(*policyConn).abandon,
	)
	if err != nil {
		joined := seen.join(orCause(ctx, nil))
		if refused != nil {
			return nil, &faultError{faultOf(joined), errors.Join(refused, joined)}
		}
		return nil, joined
	}
	return conn, nil
}

// usable returns the targets that may be connected to, and why not the others.
func (c *Client) usable(ctx context.Context, targets []netip.AddrPort) (usable []netip.AddrPort, refused error) {
	var errs []error
	for _, target := range targets {
		if err := c.guard.check(target.Addr()); err != nil {
			witnessOf(ctx).sawAttempt(target.Addr(), nil, err)
			errs = append(errs, err)
			continue
		}
		usable = append(usable, target)
	}
	return usable, errors.Join(errs...)
}

// targets puts addresses into the order in which they are tried: IPv6 and IPv4
// in turn (RFC 8305 section 4), each once.
func (c *Client) targets(addrs []netip.Addr) []netip.AddrPort {
	var v6, v4 []netip.AddrPort
	seen := make(map[netip.Addr]bool)
	for _, addr := range addrs {
		addr = addr.Unmap()
		if seen[addr] {
			continue
		}
		seen[addr] = true
		if target := netip.AddrPortFrom(addr, c.port); addr.Is4() {
			v4 = append(v4, target)
		} else {
			v6 = append(v6, target)
		}
	}
	var order []netip.AddrPort
	for i := range max(len(v6), len(v4)) {
		if i < len(v6) {
			order = append(order, v6[i])
		}
		if i < len(v4) {
			order = append(order, v4[i])
		}
	}
	return order[:min(len(order), maxAddresses)]
}

// dialFunc opens a TCP connection to an address, itself or through a proxy.
type dialFunc func(ctx context.Context, target netip.AddrPort) (net.Conn, error)

// dialer says how policy hosts are reached.
func (c *Client) dialer(ctx context.Context) (dialFunc, error) {
	if c.proxy == "" {
		return dialTCP, nil
	}
	return c.proxyDialer(ctx)
}

// dialTCP takes an address, never a name; so only the address that was checked can
// be dialled.
func dialTCP(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	conn, err := new(net.Dialer).DialTCP(ctx, "tcp", netip.AddrPort{}, target)
	switch {
	case err == nil:
		return conn, nil
	case isLocal(err):
		return nil, &faultError{FaultLocal, withoutAddresses(err)}
	}
	return nil, withoutAddresses(err)
}

// attempt makes a connection to d's policy host at target, as soon as there is a
// place, and verifies its certificate. It reports how far it has come.
func (c *Client) attempt(ctx context.Context, dial dialFunc, roots *x509.CertPool, d mtasts.Domain, target netip.AddrPort, report func(attemptState)) (*policyConn, error) {
	report(waiting)
	place, err := c.limits.enter(ctx, d, target.Addr())
	if err != nil {
		return nil, fmt.Errorf("%v: %w", target, err)
	}
	report(connecting)
	tcp, err := c.connect(ctx, dial, place, target)
	if err != nil {
		place.leave()
		return nil, fmt.Errorf("%v: %w", target, err)
	}
	conn, err := secure(ctx, tcp, d.PolicyHost(), roots)
	if err != nil {
		tcp.Close()
		place.leave()
		return nil, fmt.Errorf("%v: %w", target, place.orTooSlow(err))
	}
	place.established()
	return &policyConn{conn, target, place, tcp}, nil
}

// connect makes a TCP connection to target and notes how the address took it.
func (c *Client) connect(ctx context.Context, dial dialFunc, place *place, target netip.AddrPort) (*tcpConn, error) {
	limit := min(connectTimeout, c.timeout/2)
	unanswered := fmt.Errorf("connect not answered within %v", limit)
	ctx, cancel := context.WithTimeoutCause(ctx, limit, unanswered)
	defer cancel()
	start := time.Now()
	conn, err := dial(ctx, target)
	switch {
	case err == nil:
		place.connected(conn)
		return &tcpConn{Conn: conn}, nil
	case faultOf(err) == FaultLocal: // which says nothing of the address
	case time.Since(start) >= limit, errors.Is(err, syscall.ETIMEDOUT):
		place.unanswered()
		if !errors.Is(err, unanswered) { // as that of a proxy is, which names the proxy
			err = unanswered
		}
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		place.refused()
	}
	return nil, err
}

// classicCurves are the key exchanges that are offered. With the hybrid ones of
// crypto/tls's defaults a ClientHello of 1.5 kB takes two segments, which some
// middleboxes drop; a policy is public, so that they would protect nothing.
var classicCurves = []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384, tls.CurveP521} // never changed

// secure makes TLS of a TCP connection to host and verifies its certificate by
// its DNS names (RFC 8461 section 3.3, RFC 9525 section 6.3).
func secure(ctx context.Context, tcp *tcpConn, host string, roots *x509.CertPool) (*tls.Conn, error) {
	conn := tls.Client(tcp, &tls.Config{
		ServerName:       host,
		RootCAs:          roots,
		MinVersion:       tls.VersionTLS12,
		CurvePreferences: classicCurves,
		NextProtos:       []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		return nil, handshakeError(err)
	}
	return conn, nil
}

// Alerts of TLS (RFC 8446 section 6.2).
const (
	alertHandshakeFailure     tls.AlertError = 40
	alertProtocolVersion      tls.AlertError = 70
	alertInsufficientSecurity tls.AlertError = 71
)

// handshakeError explains a failed TLS handshake to the owner of the host.
func handshakeError(err error) error {
	message := err.Error()
	var alert string
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "remote error" {
		alert = op.Err.Error()
	}
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("connection closed in the TLS handshake")
	case alert == alertProtocolVersion.Error(), strings.HasPrefix(message, "tls: server selected unsupported protocol version"):
		return fmt.Errorf("the host speaks no TLS 1.2 or newer: %s", message)
	case alert == alertHandshakeFailure.Error(), alert == alertInsufficientSecurity.Error(), message == "tls: server chose an unconfigured cipher suite":
		return fmt.Errorf("the host has no certificate for this name, or offers only RSA key exchange or obsolete CBC cipher suites: %s", message)
	}
	return withoutAddresses(err)
}

// withoutAddresses takes the addresses out of an error of package net, for
// messages that name them already.
func withoutAddresses(err error) error {
	var op *net.OpError
	if errors.As(err, &op) && op.Addr != nil {
		return op.Err
	}
	return err
}
