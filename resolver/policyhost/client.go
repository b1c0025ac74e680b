// Package policyhost fetches policies from policy hosts (RFC 8461 section 3.3).
//
// Who publishes a record chooses where the daemon connects and what it reads.
// So nothing is trusted before it is checked: the address dialled (guard.go),
// the certificate, and how long and how large an answer may be. Each fetch
// stands alone: no connection, cookie or HTTP cache outlives it.
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

	"mta-sts-daemon/resolver/mtasts"
)

const (
	defaultTimeout = 60 * time.Second
	httpsPort      = 443
	policyPath     = "/.well-known/mta-sts.txt" // RFC 8461 section 3.3
	mediaType      = "text/plain"               // RFC 8461 section 3.2
	userAgent      = "mta-sts-daemon"
)

// Options are what a Client needs to know. Addresses alone is required.
type Options struct {
	// Addresses looks up the IPv4 and IPv6 addresses of a host name. No other
	// name service is asked.
	Addresses func(ctx context.Context, host string) ([]netip.Addr, error)

	// Timeout limits a whole fetch, address lookup and all. 0 means 60 s.
	Timeout time.Duration

	// Roots are the authorities that policy hosts are verified against; nil
	// means the system's.
	Roots *x509.CertPool

	// Proxy is an HTTP proxy that takes CONNECT, host:port; "" means none.
	// Policy hosts are resolved and checked as without one.
	Proxy string

	// AllowNetworks may be connected to though they are no public unicast
	// addresses.
	AllowNetworks []netip.Prefix

	// TestingOnlyPort takes the place of port 443.
	TestingOnlyPort uint16
}

// Client fetches policies. It is safe for concurrent use.
type Client struct {
	addresses func(ctx context.Context, host string) ([]netip.Addr, error)
	timeout   time.Duration
	roots     *x509.CertPool
	proxy     string
	guard     guard
	crowds    *crowds
	port      uint16
}

// New makes a Client.
func New(o Options) *Client {
	c := &Client{
		addresses: o.Addresses,
		timeout:   o.Timeout,
		roots:     o.Roots,
		proxy:     o.Proxy,
		guard:     newGuard(o.AllowNetworks),
		crowds:    newCrowds(),
		port:      o.TestingOnlyPort,
	}
	if c.timeout == 0 {
		c.timeout = defaultTimeout
	}
	if c.port == 0 {
		c.port = httpsPort
	}
	return c
}

// Fetch gets the text of d's policy, which may still be no valid policy. It
// takes one request that is answered by 200, text/plain and at most
// mtasts.MaxPolicyLen octets; redirects are not followed. Every error is a
// *FetchError; one that wraps ErrBusy says nothing of the policy host.
func (c *Client) Fetch(ctx context.Context, d mtasts.Domain) (string, error) {
	host := d.PolicyHost()
	ctx, cancel := context.WithTimeoutCause(ctx, c.timeout, fmt.Errorf("not done within %v", c.timeout))
	defer cancel()

	conn, err := c.dial(ctx, host)
	if err != nil {
		return "", newFetchError(host, err)
	}
	defer conn.Close()
	text, err := get(ctx, conn, host)
	if err != nil {
		return "", newFetchError(host, fmt.Errorf("%v: %w", conn.addr, err))
	}
	return text, nil
}

// get asks the policy host at the other end of conn for its policy.
func get(ctx context.Context, conn net.Conn, host string) (string, error) {
	defer interruptAtEnd(ctx, conn)()
	request := &http.Request{
		Method: http.MethodGet,
		URL:    &url.URL{Scheme: "https", Host: host, Path: policyPath},
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
		return "", orCause(ctx, fmt.Errorf("policy cut short after %d octets: %w", len(text), withoutAddresses(err)))
	}
	if len(text) > mtasts.MaxPolicyLen {
		return "", fmt.Errorf("policy longer than %d octets", mtasts.MaxPolicyLen)
	}
	return string(text), nil
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
		return fmt.Errorf("no Content-Type, where RFC 8461 asks for %s", mediaType)
	}
	essence, _, _ := strings.Cut(contentType, ";")
	if !strings.EqualFold(strings.Trim(essence, " \t"), mediaType) {
		return fmt.Errorf("Content-Type %s, where RFC 8461 asks for %s", quote(contentType), mediaType)
	}
	if coding := response.Header.Get("Content-Encoding"); coding != "" && !strings.EqualFold(coding, "identity") {
		return fmt.Errorf("Content-Encoding %s, which was not asked for", quote(coding))
	}
	return nil
}
