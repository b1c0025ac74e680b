package dnsclient

import (
	"cmp"
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Answer is a conclusive answer. It has no Records if the DNS has none; that is not an
// error.
type Answer[T any] struct {
	Records []T
	// TTL is how long the answer holds: the least TTL of the records and of
	// the CNAME records that led to them; for an absence the SOA record's
	// negative TTL in place of the records' (RFC 2308 section 5).
	TTL time.Duration
	// HasTTL is false for an absence that came without an SOA record. The DNS
	// does not say how long such an absence holds, and TTL is 0.
	HasTTL bool
	// Authenticated: every reply that the answer was made of had the AD bit (RFC
	// 4035 section 3.2.3) and came from a server whose AD bit counts.
	Authenticated bool
	// Unvouched: whether the answer is authenticated cannot be known, because a
	// reply came from a server whose AD bit does not count. Authenticated is
	// false then.
	Unvouched bool
	// Alias is the name that a chain of CNAME records led to, in lower case
	// without the last dot, or "" if the name asked for is not an alias.
	Alias string
	// NoName: the name does not exist (NXDOMAIN) or, with an Alias, that one does not.
	NoName bool
}

// Dangles reports whether the name is an alias of one without records: most often a
// CNAME record that was left behind.
func (a Answer[T]) Dangles() bool { return a.Alias != "" && len(a.Records) == 0 }

// MX is one mail exchanger of a domain.
type MX struct {
	// Host is in lower case without the last dot; "" is the null MX (RFC
	// 7505). Bytes that are not allowed in host names are written as \DDD, as in a
	// zone file.
	Host       string
	Preference uint16
}

// TXT asks for the TXT records of name. The strings of a record are joined without
// anything between them (RFC 8461 section 3.1).
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

// otherFamily is how long Addresses goes on waiting for the addresses of one
// family when it has those of the other. Some name servers never answer the
// question for AAAA records.
const otherFamily = 500 * time.Millisecond

// Addresses asks for the IPv4 and IPv6 addresses of name in parallel; IPv4 comes
// first. If only one of the two questions is answered, or is answered long before
// the other, and there are addresses, these are the answer. Errors are *Error.
func (c *Client) Addresses(ctx context.Context, name string) (Answer[netip.Addr], error) {
	return either(c.families(ctx, name))
}

// family is the result of the question for addresses of one family.
type family struct {
	answer Answer[netip.Addr]
	err    error
}

// families asks both questions of Addresses.
func (c *Client) families(ctx context.Context, name string) (four, six family) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	v4, v6 := make(chan family, 1), make(chan family, 1)
	go func() {
		a, err := lookup(ctx, c, name, dns.TypeAAAA, ipv6)
		v6 <- family{a, err}
	}()
	go func() {
		a, err := lookup(ctx, c, name, dns.TypeA, ipv4)
		v4 <- family{a, err}
	}()
	unanswered := family{err: errOtherFamily}
	four, six = unanswered, unanswered
	var late <-chan time.Time
	for range 2 {
		select {
		case four = <-v4:
		case six = <-v6:
		case <-late:
		}
		if len(four.answer.Records)+len(six.answer.Records) > 0 {
			late = time.After(otherFamily)
		}
	}
	return four, six
}

// either makes the answer of Addresses.
func either(four, six family) (Answer[netip.Addr], error) {
	switch {
	case four.err == nil && six.err == nil:
		return both(four.answer, six.answer), nil
	case four.err == nil && len(four.answer.Records) > 0:
		return four.answer, nil
	case six.err == nil && len(six.answer.Records) > 0:
		return six.answer, nil
	}
	return Answer[netip.Addr]{}, cmp.Or(four.err, six.err)
}

// errOtherFamily stands for a question that was not waited for.
var errOtherFamily = errors.New("not answered in time")

// both makes one answer of two. An absence has no say in how long the records
// of the other family hold.
func both[T any](a, b Answer[T]) Answer[T] {
	authenticated := a.Authenticated && b.Authenticated
	unvouched := !authenticated && (a.Authenticated || a.Unvouched) && (b.Authenticated || b.Unvouched)
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
		Authenticated: authenticated,
		Unvouched:     unvouched,
		Alias:         a.Alias,
	}
}

// lookup asks for records of qtype, which the DNS library reads into an R, and
// makes a T of each.
func lookup[R dns.RR, T any](ctx context.Context, c *Client, name string, qtype uint16, convert func(R) T) (Answer[T], error) {
	f, err := c.find(ctx, name, qtype)
	if err != nil {
		return Answer[T]{}, err
	}
	a := Answer[T]{
		TTL: f.ttl, HasTTL: f.hasTTL,
		Authenticated: f.trust.authenticated(),
		Unvouched:     f.trust.unknown(),
		NoName:        f.noName,
	}
	if len(f.names) > 1 {
		a.Alias = canonical(f.end())
	}
	for _, rr := range f.records {
		a.Records = append(a.Records, convert(rr.(R)))
	}
	return a, nil
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

// Mailbox asks for the SOA record of a zone and returns the mail address of those who
// run it (RFC 1035 sections 3.3.13 and 8), or "" if the name has no SOA record.
// Errors are *Error.
func (c *Client) Mailbox(ctx context.Context, zone string) (string, error) {
	f, err := c.find(ctx, zone, dns.TypeSOA)
	if err != nil || len(f.records) == 0 {
		return "", err
	}
	return mailbox(f.records[0].(*dns.SOA).Mbox), nil
}

// mailbox makes an address of a name whose first label is the local part; "" if it has
// no second one.
func mailbox(name string) string {
	labels := dns.SplitDomainName(name)
	if len(labels) < 2 {
		return ""
	}
	return strings.ReplaceAll(labels[0], `\.`, ".") + "@" + canonical(strings.Join(labels[1:], "."))
}
