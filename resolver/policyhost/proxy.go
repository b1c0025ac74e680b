package policyhost

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"

	"mta-sts-daemon/resolver/internal/race"
	"mta-sts-daemon/resolver/printable"
)

// proxyDialer finds the proxy and returns a dialFunc that goes through it. The
// guard does not apply to the proxy itself: the operator names it.
func (c *Client) proxyDialer(ctx context.Context) (dialFunc, error) {
	proxies, err := c.proxyAddresses(ctx)
	if err != nil {
		return nil, fmt.Errorf("proxy %s: %w", printable.Quote(c.proxy), err)
	}
	return func(ctx context.Context, target netip.AddrPort) (net.Conn, error) {
		conn, err := race.First(ctx, len(proxies), stagger, stagger,
			func(ctx context.Context, i int) (net.Conn, error) { return dialTCP(ctx, proxies[i]) },
			func(late net.Conn) { late.Close() },
		)
		if err != nil {
			return nil, &faultError{FaultLocal, fmt.Errorf("proxy %s: %w", printable.Quote(c.proxy), err)}
		}
		if err := tunnel(ctx, conn, target); err != nil {
			conn.Close()
			return nil, fmt.Errorf("proxy %s: %w", printable.Quote(c.proxy), orCause(ctx, err))
		}
		return conn, nil
	}, nil
}

// proxyAddresses looks the proxy up if it is given by name. localhost is not
// looked up in the DNS (RFC 6761 section 6.3).
func (c *Client) proxyAddresses(ctx context.Context) ([]netip.AddrPort, error) {
	host, portText, err := net.SplitHostPort(c.proxy)
	if err != nil {
		return nil, err
	}
	port, err := strconv.ParseUint(portText, 10, 16)
	if err != nil {
		return nil, fmt.Errorf("port %s: %w", printable.Quote(portText), err)
	}
	var addrs []netip.Addr
	if literal, err := netip.ParseAddr(host); err == nil {
		addrs = []netip.Addr{literal}
	} else if host == "localhost" {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	} else if addrs, err = c.addresses(ctx, host); err != nil {
		return nil, err
	}
	if len(addrs) == 0 {
		return nil, fmt.Errorf("%s has no addresses", host)
	}
	proxies := make([]netip.AddrPort, len(addrs))
	for i, addr := range addrs {
		proxies[i] = netip.AddrPortFrom(addr, uint16(port))
	}
	return proxies, nil
}

// tunnel has the proxy at the other end of conn connect to target (RFC 9110
// section 9.3.6). A proxy that answers by an error is at fault itself, unless it
// reports that the target does not answer (502, 503, 504). So is one that closes
// the connection; one that is silent most likely waits for the target.
// Bytes after the reply of a proxy are dropped: a TLS server does not speak first.
func tunnel(ctx context.Context, conn net.Conn, target netip.AddrPort) error {
	defer interruptAtEnd(ctx, conn)()
	request := &http.Request{
		Method: http.MethodConnect,
		URL:    &url.URL{Opaque: target.String()},
		Host:   target.String(),
		Header: http.Header{"User-Agent": {userAgent}},
	}
	if err := request.Write(conn); err != nil {
		return &faultError{FaultLocal, withoutAddresses(err)}
	}
	response, err := readResponse(conn, request)
	if err != nil {
		return &faultError{FaultLocal, withoutAddresses(err)}
	}
	err = fmt.Errorf("it answers CONNECT by status %s", statusText(response))
	switch response.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return err
	}
	return &faultError{FaultLocal, err}
}
