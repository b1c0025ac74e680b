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

// Inspection is what a fetch met on its way, for a person who asks why.
type Inspection struct {
	// Text is the policy's text, "" where the fetch failed.
	Text string
	// Attempts are the addresses that were tried, in the order in which they
	// failed or were found good. Addresses that were not needed are not among
	// them.
	Attempts []Attempt
	// Response is what the policy host answered; nil where it did not.
	Response *Response
}

// Attempt is one try to reach a policy host.
type Attempt struct {
	Addr netip.Addr
	// Chain are the certificates that the host showed, its own first; none
	// where it did not come to that.
	Chain []*x509.Certificate
	// Err is why the address is of no use; nil where it is. It may hold
	// bytes that the policy host sent.
	Err error
}

// Response is the head of a policy host's answer, and how long its body was. Its
// strings are the host's own: any bytes.
type Response struct {
	Status      int
	ContentType string
	Size        int // bytes of the body that were read
}

// Inspect is Fetch, and says what it met. The Inspection is filled as far as
// the fetch came where there is an error.
func (c *Client) Inspect(ctx context.Context, d mtasts.Domain) (Inspection, error) {
	var w witness
	text, err := c.Fetch(context.WithValue(ctx, witnessKey{}, &w), d)
	w.mu.Lock()
	defer w.mu.Unlock()
	return Inspection{Text: text, Attempts: slices.Clone(w.attempts), Response: w.response}, err
}

// WhyNot returns why an address is never connected to, "" where it may be.
func (c *Client) WhyNot(addr netip.Addr) string { return c.guard.whyNot(addr) }

// witness takes down what a fetch meets, from several goroutines. A nil one
// takes down nothing: the daemon's own fetches have none.
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
	w.response = &Response{Status: response.StatusCode, ContentType: response.Header.Get("Content-Type")}
}

func (w *witness) sawBody(size int) {
	if w == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.response.Size = size
}
