package policyhost

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"mta-sts-daemon/resolver/internal/race"
)

const (
	// stagger is how long an address is given before the next is tried beside
	// it: the Connection Attempt Delay of RFC 8305 section 5.
	stagger = 300 * time.Millisecond

	// maxAddresses bounds how many hosts a stranger's DNS answer can make one
	// fetch knock at.
	maxAddresses = 32
)

// policyConn is a connection to a policy host whose certificate has been
// verified. addr is the host's address, behind a proxy too. It counts as one of
// the crowd there until it is closed.
type policyConn struct {
	*tls.Conn
	addr  netip.AddrPort
	leave func()
}

// Close says farewell and closes the connection.
func (c *policyConn) Close() error {
	defer c.leave()
	return c.Conn.Close()
}

// abandon closes the connection without a farewell, which could block.
func (c *policyConn) abandon() {
	c.NetConn().Close()
	c.leave()
}

// dial connects to host at whichever of its addresses is the first to complete
// a verified handshake.
func (c *Client) dial(ctx context.Context, host string) (*policyConn, error) {
	addrs, err := c.addresses(ctx, host)
	if err != nil {
		return nil, err
	}
	targets := c.targets(addrs)
	if len(targets) == 0 {
		return nil, errors.New("the host has no addresses")
	}
	dial, err := c.dialer(ctx)
	if err != nil {
		return nil, err
	}
	var failed failures
	conn, err := race.First(ctx, len(targets), stagger, stagger,
		func(ctx context.Context, i int) (*policyConn, error) {
			conn, err := c.connect(ctx, dial, host, targets[i])
			if err != nil && ctx.Err() != nil {
				return nil, err // an attempt that was called off says nothing of the address
			}
			witnessOf(ctx).sawAttempt(targets[i].Addr(), conn, err)
			if err != nil {
				failed.add(err)
			}
			return conn, err
		},
		(*policyConn).abandon,
	)
	if err != nil {
		// Not err itself: where time ran out, what failed before counts too.
		if ctx.Err() != nil {
			failed.add(context.Cause(ctx))
		}
		return nil, failed.join()
	}
	return conn, nil
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

// dialTCP takes an address, never a name; so nothing but what was checked can
// be dialled.
func dialTCP(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
	conn, err := new(net.Dialer).DialTCP(ctx, "tcp", netip.AddrPort{}, target)
	if err != nil {
		return nil, withoutAddresses(err)
	}
	return conn, nil
}

// connect makes a connection to host at target, where it may and there is room,
// and verifies its certificate.
func (c *Client) connect(ctx context.Context, dial dialFunc, host string, target netip.AddrPort) (*policyConn, error) {
	if err := c.guard.check(target.Addr()); err != nil {
		return nil, err
	}
	leave, err := c.crowds.join(ctx, target.Addr())
	if err != nil {
		return nil, fmt.Errorf("%v: %w", target, err)
	}
	conn, err := c.handshake(ctx, dial, host, target)
	if err != nil {
		leave()
		return nil, err
	}
	return &policyConn{conn, target, leave}, nil
}

// handshake makes a connection to host at target and verifies its certificate.
func (c *Client) handshake(ctx context.Context, dial dialFunc, host string, target netip.AddrPort) (*tls.Conn, error) {
	tcp, err := dial(ctx, target)
	if err != nil {
		return nil, fmt.Errorf("%v: %w", target, err)
	}
	conn := tls.Client(tcp, &tls.Config{
		ServerName: host,
		RootCAs:    c.roots,
		MinVersion: tls.VersionTLS12,
		NextProtos: []string{"http/1.1"},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		tcp.Close()
		if errors.Is(err, io.EOF) {
			err = errors.New("connection closed in the TLS handshake")
		}
		return nil, fmt.Errorf("%v: %w", target, withoutAddresses(err))
	}
	return conn, nil
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
