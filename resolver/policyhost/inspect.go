package policyhost

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/http"
	"net/netip"
	"slices"
	"sync"

	"mta-sts-daemon/resolver/mtasts"
)

// Inspection describes the steps of a fetch, for diagnosis.
type Inspection struct {
	// Text is the policy's text, "" if the fetch failed.
	Text string
	// Attempts are the addresses that were tried, in the order in which they
	// failed or were found good. Addresses that were not needed are not among
	// them.
	Attempts []Attempt
	// Response is the policy host's response; nil if none came.
	Response *Response
}

// Attempt is one try to reach a policy host.
type Attempt struct {
	Addr netip.Addr
	// Chain are the certificates that the host sent, its own first; none if the
	// attempt failed before that.
	Chain []*x509.Certificate
	// Err is why the attempt failed; nil if it did not. It may hold
	// bytes that the policy host sent.
	Err error
}

// Response is the head of a policy host's answer, and how long its body was. Its
// strings are the host's own: any bytes.
type Response struct {
	Status      int
	ContentType string
	Location    string // the target of a redirect
	Size        int    // bytes of the body that were read
}

// Inspect is Fetch with a description of its steps. If there is an error, the
// Inspection has the steps up to it.
func (c *Client) Inspect(ctx context.Context, d mtasts.Domain) (Inspection, error) {
	var w witness
	text, err := c.Fetch(context.WithValue(ctx, witnessKey{}, &w), d)
	w.mu.Lock()
	defer w.mu.Unlock()
	return Inspection{Text: text, Attempts: slices.Clone(w.attempts), Response: w.response}, err
}

// At returns a Client that differs from c in one way: all policy hosts have the one
// address.
func (c *Client) At(addr netip.Addr) *Client {
	at := *c
	at.addresses = func(context.Context, string) ([]netip.Addr, error) { return []netip.Addr{addr}, nil }
	return &at
}

// WithPath returns a Client that differs from c in one way: it asks policy hosts for
// path, to find a policy that was put in the wrong place.
func (c *Client) WithPath(path string) *Client {
	elsewhere := *c
	elsewhere.path = path
	return &elsewhere
}

// WhyNot returns why an address is never connected to, "" if it may be.
func (c *Client) WhyNot(addr netip.Addr) string { return c.guard.whyNot(addr) }

// witness records the steps of a fetch, from several goroutines. A nil one records
// nothing: the daemon's own fetches have none.
type witness struct {
	mu       sync.Mutex
	attempts []Attempt
	response *Response
}

type witnessKey struct{}

func witnessOf(ctx context.Context) *witness {
	w, _ := ctx.Value(witnessKey{}).(*witness)
	return w
}

func (w *witness) sawAttempt(addr netip.Addr, conn *policyConn, err error) {
	if w == nil {
		return
	}
	a := Attempt{Addr: addr, Err: err}
	var invalid *tls.CertificateVerificationError
	switch {
	case err == nil:
		a.Chain = conn.ConnectionState().PeerCertificates
	case errors.As(err, &invalid):
		a.Chain = invalid.UnverifiedCertificates
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.attempts = append(w.attempts, a)
}

func (w *witness) sawResponse(response *http.Response) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.response = &Response{Status: response.StatusCode, ContentType: response.Header.Get("Content-Type"), Location: response.Header.Get("Location")}
}

func (w *witness) sawBody(size int) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.response.Size = size
}
