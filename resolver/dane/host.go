package dane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// state is the result for one mail host.
type state uint8

const (
	noAddress   state = iota // no mail can go there
	noTLSA                   // no authenticated TLSA records
	unusable                 // authenticated TLSA records, none of which can be used
	usable                   // at least one that can
	unreachable              // a question could not be answered
	lastState   = unreachable
)

// hostResult is the state of one mail host and the least TTL of the answers behind it.
type hostResult struct {
	state     state
	ttl       time.Duration
	unvouched bool  // an answer came from a server whose AD bit does not count
	err       error // why the state is unreachable
}

// failed is the result if a question could not be answered.
func failed(err error) hostResult {
	return hostResult{state: unreachable, ttl: MinTTL, unvouched: errors.Is(err, errUnvouched), err: err}
}

// errUnvouched: an answer came from a server whose AD bit does not count.
var errUnvouched = errors.New("a DNS server answered whose AD bit does not count")

// vouched returns err, or errUnvouched if it cannot be known whether the answer is
// authenticated. Such an answer must not count as one that is not authenticated:
// that would turn DANE off.
func vouched(unvouched bool, err error) error {
	if err == nil && unvouched {
		return errUnvouched
	}
	return err
}

// host checks one MX host.
func (c *Checker) host(ctx context.Context, name string, port uint16) hostResult {
	h, err := c.dns.Host(ctx, name)
	if err = vouched(h.Unvouched, err); err != nil {
		return failed(err)
	}
	return c.addressed(ctx, name, h, port)
}

// addressed checks a mail host whose addresses are h. If the host is an alias, its TLSA
// records may be under two names. The second name is asked for only if the answer for
// the first one has no authenticated records, not if that question fails (RFC 7672
// section 2.2.3, RFC 7671 section 7).
func (c *Checker) addressed(ctx context.Context, name string, h dnsclient.Host, port uint16) hostResult {
	f := hostResult{state: noTLSA, ttl: h.TTL}
	if len(h.Records) == 0 {
		f.state = noAddress
		return f
	}
	bases := []string{h.Canonical}
	switch aliased := h.Canonical != name; {
	case h.Authenticated && aliased:
		bases = append(bases, name)
	case !h.Authenticated && !aliased:
		return f
	case !h.Authenticated:
		// Some zone in the chain of CNAME records is not signed. If the first CNAME
		// record is authenticated, the name itself may have TLSA records (section
		// 2.1.3), as in Postfix. Its TTL is part of h.TTL.
		alias, err := c.dns.CNAME(ctx, name)
		if err = vouched(alias.Unvouched, err); err == nil && len(alias.Records) == 0 { // it was there a moment ago
			err = fmt.Errorf("CNAME %s: no longer there", name)
		}
		if err != nil {
			return failed(err)
		}
		if !alias.Authenticated {
			return f
		}
		bases = []string{name}
	}
	for _, base := range bases {
		answer, err := c.tlsa(ctx, base, port)
		if err = vouched(answer.Unvouched, err); err != nil {
			return failed(err)
		}
		f.ttl = min(f.ttl, answer.TTL)
		switch {
		case len(answer.Records) == 0 || !answer.Authenticated:
		case slices.ContainsFunc(answer.Records, Usable):
			f.state = usable
			return f
		default:
			f.state = unusable
			return f
		}
	}
	return f
}

// maxNameLen is the length of the longest name in bytes, without the last dot (RFC
// 1035 section 2.3.4).
const maxNameLen = 253

// tlsa asks for the TLSA records of the server at base and port (RFC 6698 section 3).
// A base that is too long for the labels before it cannot have any.
func (c *Checker) tlsa(ctx context.Context, base string, port uint16) (dnsclient.Answer[dnsclient.TLSA], error) {
	name := fmt.Sprintf("_%d._tcp.%s", port, base)
	if len(name) > maxNameLen {
		return dnsclient.Answer[dnsclient.TLSA]{TTL: MaxTTL, HasTTL: true}, nil
	}
	return c.dns.TLSA(ctx, name)
}
