// Package policyhost fetches policies from policy hosts (RFC 8461 section 3.3).
//
// The policy of example.com is the body of
// https://mta-sts.example.com/.well-known/mta-sts.txt. The certificate has to be
// valid for that host name, the status has to be 200 and the type text/plain;
// redirects are not followed.
//
// The publisher of a record chooses the addresses that the daemon connects to and
// the bytes that it reads. So everything is checked before it is used: the
// address dialled (guard.go), the certificate, and the duration and size of a
// response. Fetches share nothing except the limits on connections to one address
// (limits.go): no connection, cookie or HTTP cache outlives a fetch.
//
// An *Error says whose fault a failure is: the publisher's, this host's, or that
// of its load. Only the first kind says something about the domain.
package policyhost

import (
	"context"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

const (
	defaultTimeout = 60 * time.Second
	httpsPort      = 443
	policyPath     = "/.well-known/mta-sts.txt" // RFC 8461 section 3.3
	mediaType      = "text/plain"               // RFC 8461 section 3.2
	userAgent      = "mta-sts-daemon"
)

// Options configure a Client. Only Addresses is required.
type Options struct {
	// Addresses looks up the IPv4 and IPv6 addresses of a host name. No other
	// name service is asked. A name without addresses is not an error; an error is
	// FaultDNS.
	Addresses func(ctx context.Context, host string) ([]netip.Addr, error)

	// Timeout limits a whole fetch, address lookup and all. 0 means 60 s.
	Timeout time.Duration

	// Roots returns the authorities that policy hosts are verified against. It is
	// called for each fetch, so that they can change. If it returns an empty
	// pool, the fetch fails with FaultLocal. nil means the system's, as
	// crypto/x509 reads them once.
	Roots func() *x509.CertPool

	// Proxy is an HTTP proxy that takes CONNECT, host:port; "" means none.
	// Policy hosts are resolved and checked as without one.
	Proxy string

	// AllowNetworks are networks that may be connected to although their
	// addresses are not public unicast addresses.
	AllowNetworks []netip.Prefix

	// TestingOnlyPort takes the place of port 443.
	TestingOnlyPort uint16
}

// Client fetches policies. It is safe for concurrent use.
type Client struct {
	addresses func(ctx context.Context, host string) ([]netip.Addr, error)
	timeout   time.Duration
	roots     func() *x509.CertPool
	proxy     string
	guard     guard
	limits    *limits
	port      uint16
	path      string
}

// New makes a Client.
func New(o Options) *Client {
	c := &Client{
		addresses: o.Addresses,
		timeout:   o.Timeout,
		roots:     o.Roots,
		proxy:     o.Proxy,
		guard:     newGuard(o.AllowNetworks),
		limits:    newLimits(),
		port:      o.TestingOnlyPort,
		path:      policyPath,
	}
	if c.roots == nil {
		c.roots = func() *x509.CertPool { return nil }
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.port == 0 {
		c.port = httpsPort
	}
	return c
}

// Fetch returns the text of d's policy, which may still be no valid policy. It
// accepts one response: status 200, text/plain and at most mtasts.MaxPolicyLen
// bytes, complete; redirects are not followed. Every error is a *FetchError, which
// says whose fault it is.
func (c *Client) Fetch(ctx context.Context, d mtasts.Domain) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("not done within %v", c.timeout))
	defer cancel()

	roots := c.roots()
	if roots != nil && roots.Equal(x509.NewCertPool()) {
		return "", newFetchError(d.PolicyHost(), &faultError{FaultLocal, authorities.ErrNone})
	}
	conn, err := c.dial(ctx, d, roots)
	if err != nil {
		return "", newFetchError(d.PolicyHost(), err)
	}
	defer conn.Close()
	text, err := get(ctx, conn, d.PolicyHost(), c.path)
	if err != nil {
		failed := newFetchError(d.PolicyHost(), fmt.Errorf("%v: %w", conn.addr, conn.place.orTooSlow(err)))
		failed.Answered = true
		return "", failed
	}
	return text, nil
}

// transport is a connection inside TLS.
type transport interface {
	net.Conn
	// endedByTCP returns whether it ended without close_notify.
	endedByTCP() bool
}

// get requests path from the policy host at the other end of conn.
func get(ctx context.Context, conn transport, host, path string) (string, error) {
	defer interruptAtEnd(ctx, conn)()
	request := &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "https", Host: host, Path: path},
		Header: http.Header{"User-Agent": {userAgent}, "Accept": {mediaType}},
		Close:  true,
	}
	if err := request.Write(conn); err != nil {
		return "", orCause(ctx, withoutAddresses(err))
	}
	response, err := readResponse(conn, request)
	if err != nil {
		return "", orCause(ctx, withoutAddresses(err))
	}
	witnessOf(ctx).sawResponse(response)
	if err := checkHeader(response); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(response.Body, mtasts.MaxPolicyLen+1))
	witnessOf(ctx).sawBody(len(text))
	if err != nil {
		return "", orCause(ctx, fmt.Errorf("policy cut short after %d bytes: %w", len(text), withoutAddresses(err)))
	}
	if len(text) > mtasts.MaxPolicyLen {
		return "", fmt.Errorf("policy longer than %d bytes", mtasts.MaxPolicyLen)
	}
	// RFC 9112 section 9.8: such a body is complete only if TLS was closed. Anyone
	// on the way can close TCP, and half a policy defers mail.
	if endsWithConnection(response) && conn.endedByTCP() {
		return "", fmt.Errorf("policy may be cut short after %d bytes: the response has no Content-Length, and the connection was closed without a TLS close_notify", len(text))
	}
	return string(text), nil
}

// endsWithConnection returns whether nothing but the end of the connection ends
// the body (RFC 9112 section 6.3).
func endsWithConnection(response *http.Response) bool {
	return response.ContentLength < 0 && len(response.TransferEncoding) == 0
}

// checkHeader accepts only what RFC 8461 section 3.3 says of a response: 200
// and text/plain. A coding that was not asked for would read as a broken
// policy; so it is named.
func checkHeader(response *http.Response) error {
	if response.StatusCode/100 == 3 {
		return fmt.Errorf("status %s; RFC 8461 forbids to follow redirects", statusText(response))
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("status %s", statusText(response))
	}
	contentType := response.Header.Get("Content-Type")
	if contentType == "" {
		return fmt.Errorf("no Content-Type; RFC 8461 requires %s", mediaType)
	}
	essence, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.Trim(essence, " \t"), mediaType) {
		return fmt.Errorf("Content-Type %s; RFC 8461 requires %s", printable.Quote(contentType), mediaType)
	}
	if coding := response.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return fmt.Errorf("Content-Encoding %s, which was not asked for", printable.Quote(coding))
	}
	return nil
}
