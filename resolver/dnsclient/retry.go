package dnsclient

import (
	"context"
	"errors"
	"time"

	"github.com/miekg/dns"
)

// A name whose questions fail while others are answered is asked again after
// firstRetry, which doubles with each failure in a row up to lastRetry.
const (
	firstRetry = 30 * time.Second
	lastRetry  = 10 * time.Minute
)

// Retry returns how long a name is not asked for again after so many failures in a
// row, 1 or more.
func Retry(failures int) time.Duration {
	wait := firstRetry
	for range failures - 1 {
		if wait *= 2; wait >= lastRetry {
			return lastRetry
		}
	}
	return wait
}

// Probe asks for the SOA record of the root, which every resolver that reaches other name
// servers answers. A reply that says neither yes nor no is an answer too if it is a
// refusal: a resolver may refuse that question and answer others. The error is an *Error.
func (c *Client) Probe(ctx context.Context) error {
	_, err := c.find(ctx, ".", dns.TypeSOA)
	if isRefusal(err) {
		return nil
	}
	return err
}

// isRefusal reports whether a server answered REFUSED.
func isRefusal(err error) bool {
	rcode, ok := errors.AsType[rcodeError](err)
	return ok && rcode == dns.RcodeRefused
}
