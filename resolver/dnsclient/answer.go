package dnsclient

import (
	"cmp"
	"context"
	"net/netip"
	"slices"
	"time"

	"github.com/miekg/dns"
)

// Answer is what the DNS says. No Records means that there are none, which is
// an answer like any other: whether the name exists at all is not told apart.
type Answer[T any] struct {
	Records []T
	// TTL is how long the answer holds: the least TTL of the records and of
	// the CNAME records that led to them; for an absence the SOA record's
	// negative TTL in place of the records' (RFC 2308 section 5).
	TTL time.Duration
	// HasTTL is false for an absence that came without an SOA record. The DNS
	// does not say how long such an absence holds, and TTL is 0.
	HasTTL bool
	// Authenticated is the AD bit (RFC 4035 section 3.2.3) of every reply that
	// the answer was made of: what the server says, which only someone who
	// trusts it and the way to it should believe.
	Authenticated bool
}

// MX is one mail exchanger of a domain.
type MX struct {
	// Host is in lower case without the last dot; "" is the null MX (RFC
	// 7505). Octets that belong in no host name stand as \DDD, as in a zone
	// file.
	Host       string
	Preference uint16
}

// TXT asks for the TXT records of name. A record is the octets of its strings
// put together, with nothing between them, as RFC 8461 section 3.1 wants it.
// Errors are *Error.
func (c *Client) TXT(ctx context.Context, name string) (Answer[string], error) {
	return lookup(ctx, c, name, dns.TypeTXT, txtRecord)
}

// MX asks for the mail exchangers of name, most preferred first. Errors are
// *Error.
func (c *Client) MX(ctx context.Context, name string) (Answer[MX], error) {
	a, err := lookup(ctx, c, name, dns.TypeMX, mxRecord)
	slices.SortStableFunc(a.Records, func(a, b MX) int { return cmp.Compare(a.Preference, b.Preference) })
	return a, err
}

// Addresses asks for the IPv4 and IPv6 addresses of name side by side; IPv4
// comes first. Where only one of the two questions could be answered, but has
// addresses, these are the answer. Errors are *Error.
func (c *Client) Addresses(ctx context.Context, name string) (Answer[netip.Addr], error) {
	var v6 Answer[netip.Addr]
	var err6 error
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		v6, err6 = lookup(ctx, c, name, dns.TypeAAAA, ipv6)
	}()
	v4, err4 := lookup(ctx, c, name, dns.TypeA, ipv4)
	<-asked
	switch {
	case err4 == nil && err6 == nil:
		return both(v4, v6), nil
	case err4 == nil && len(v4.Records) > 0:
		return v4, nil
	case err6 == nil && len(v6.Records) > 0:
		return v6, nil
	}
	return Answer[netip.Addr]{}, cmp.Or(err4, err6)
}

// both makes one answer of two. An absence has no say in how long the records
// beside it hold.
func both[T any](a, b Answer[T]) Answer[T] {
	ad := a.Authenticated && b.Authenticated
	switch {
	case len(b.Records) == 0 && len(a.Records) > 0:
		b = a
	case len(a.Records) == 0 && len(b.Records) > 0:
		a = b
	default:
		a.Records = append(a.Records, b.Records...)
	}
	return Answer[T]{
		Records:       a.Records,
		TTL:           min(a.TTL, b.TTL),
		HasTTL:        a.HasTTL && b.HasTTL,
		Authenticated: ad,
	}
}

// lookup asks for records of qtype, which the DNS library reads into an R, and
// makes a T of each.
func lookup[R dns.RR, T any](ctx context.Context, c *Client, name string, qtype uint16, convert func(R) T) (Answer[T], error) {
	a, _, err := lookupEnd(ctx, c, name, qtype, convert)
	return a, err
}

// lookupEnd is lookup, with the name that the chain of CNAME records came to.
func lookupEnd[R dns.RR, T any](ctx context.Context, c *Client, name string, qtype uint16, convert func(R) T) (Answer[T], string, error) {
	f, err := c.find(ctx, name, qtype)
	if err != nil {
		return Answer[T]{}, "", err
	}
	a := Answer[T]{TTL: f.ttl, HasTTL: f.hasTTL, Authenticated: f.authenticated}
	for _, rr := range f.records {
		a.Records = append(a.Records, convert(rr.(R)))
	}
	return a, canonical(f.end()), nil
}

func txtRecord(rr *dns.TXT) string { return joinStrings(rr.Txt) }

func mxRecord(rr *dns.MX) MX {
	return MX{Host: canonical(rr.Mx), Preference: rr.Preference}
}

func ipv4(rr *dns.A) netip.Addr {
	addr, _ := netip.AddrFromSlice(rr.A.To4())
	return addr
}

func ipv6(rr *dns.AAAA) netip.Addr {
	addr, _ := netip.AddrFromSlice(rr.AAAA)
	return addr
}
