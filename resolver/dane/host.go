package dane

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"mta-sts-daemon/resolver/dnsclient"
)

// state is what was found at one mail host.
type state uint8

const (
	noAddress   state = iota // no mail can go there
	noTLSA                   // no authenticated TLSA records
	unusable                 // authenticated TLSA records, none of which can be used
	usable                   // at least one that can
	unreachable              // the DNS could not say
	lastState   = unreachable
)

// finding is the state of one mail host and the least TTL of the answers that
// say so.
type finding struct {
	state     state
	ttl       time.Duration
	unvouched bool  // an answer came from a server whose AD bit does not count
	err       error // why the state is unreachable
}

// failed is the finding if a question could not be answered.
func failed(err error) finding {
	return finding{state: unreachable, ttl: MinTTL, unvouched: errors.Is(err, errUnvouched), err: err}
}

// errUnvouched: an answer came from a server whose AD bit does not count.
var errUnvouched = errors.New("a DNS server answered whose AD bit does not count")

// vouched returns err or, if whether the answer is authenticated cannot be known,
// errUnvouched. Such an answer counts as none: taken for one that is not
// authenticated, it would say that there is no DANE.
func vouched[T any](answer dnsclient.Answer[T], err error) error {
	if err == nil && answer.Unvouched {
		return errUnvouched
	}
	return err
}

// host looks at one MX host.
func (c *Checker) host(ctx context.Context, name string, port uint16) finding {
	h, err := c.dns.Host(ctx, name)
	if err = vouched(h.Answer, err); err != nil {
		return failed(err)
	}
	return c.addressed(ctx, name, h, port)
}

// addressed looks at a mail host whose addresses are h. The names that its TLSA
// records may be under are asked one after the other; the next one counts only
// where there are none under the one before, not where that cannot be known
// (RFC 7672 section 2.2.3, RFC 7671 section 7).
func (c *Checker) addressed(ctx context.Context, name string, h dnsclient.Host, port uint16) finding {
	f := finding{state: noTLSA, ttl: h.TTL}
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
		// The chain leaves signed ground somewhere. Where its first step is
		// still on it, the name itself may have TLSA records (section 2.1.3),
		// as Postfix does it. Its TTL is part of h's.
		alias, err := c.dns.CNAME(ctx, name)
		if err = vouched(alias, err); err == nil && len(alias.Records) == 0 { // it was there a moment ago
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
		if err = vouched(answer, err); err != nil {
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

// maxNameLen is the length of the longest name, in octets without the root dot
// (RFC 1035 section 2.3.4).
const maxNameLen = 253

// tlsa asks for the TLSA records of the server at base and port (RFC 6698
// section 3). Where the base domain leaves no room for the labels before it,
// there can be none.
func (c *Checker) tlsa(ctx context.Context, base string, port uint16) (dnsclient.Answer[dnsclient.TLSA], error) {
	name := fmt.Sprintf("_%d._tcp.%s", port, base)
	if len(name) > maxNameLen {
		return dnsclient.Answer[dnsclient.TLSA]{TTL: MaxTTL, HasTTL: true}, nil
	}
	return c.dns.TLSA(ctx, name)
}
