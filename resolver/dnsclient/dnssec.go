package dnsclient

import (
	"cmp"
	"context"
	"encoding/hex"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// TLSA is one record that says what a TLS server's certificate must look like
// (RFC 6698 section 2.1). Nothing in it has been checked; one too short for its
// fields has 0 in their place and no Data.
type TLSA struct {
	Usage, Selector, MatchingType uint8
	Data                          []byte
}

// TLSA asks for the TLSA records of name, such as _25._tcp.mx.example.com.
// Errors are *Error.
func (c *Client) TLSA(ctx context.Context, name string) (Answer[TLSA], error) {
	return lookup(ctx, c, name, dns.TypeTLSA, tlsaRecord)
}

// CNAME asks for the CNAME record of name itself, whose target is in lower case
// without the last dot. Errors are *Error.
func (c *Client) CNAME(ctx context.Context, name string) (Answer[string], error) {
	return lookup(ctx, c, name, dns.TypeCNAME, func(rr *dns.CNAME) string { return canonical(rr.Target) })
}

// Host is what the DNS says of a mail host.
type Host struct {
	// Answer holds the IPv4 addresses or, where there are none to be had, the
	// IPv6 ones. An absence beside them has no say in whether they are
	// authenticated.
	Answer[netip.Addr]
	// Canonical is the name that owns the addresses, in lower case without the
	// last dot: where the chain of CNAME records ended. Without one it is the
	// name asked for.
	Canonical string
}

// Host asks whether name has addresses and for the name that owns them. That is
// the same for IPv4 and IPv6, so if there are IPv4 addresses, the others are not
// asked for. Errors are *Error.
func (c *Client) Host(ctx context.Context, name string) (Host, error) {
	v4, err4 := lookup(ctx, c, name, dns.TypeA, ipv4)
	if len(v4.Records) > 0 {
		return newHost(name, v4), nil
	}
	v6, err6 := lookup(ctx, c, name, dns.TypeAAAA, ipv6)
	if len(v6.Records) > 0 {
		return newHost(name, v6), nil
	}
	if err := cmp.Or(err4, err6); err != nil {
		return Host{}, err
	}
	return newHost(name, both(v4, v6)), nil
}

func newHost(name string, a Answer[netip.Addr]) Host {
	return Host{a, cmp.Or(a.Alias, canonical(dns.CanonicalName(name)))}
}

// signedZones are zones that every resolver with a way to other name servers answers for.
// A resolver may refuse questions about the root alone.
var signedZones = [...]string{".", "org", "com"}

// Validates asks for the SOA record of a signed zone and reports whether the answer has
// the AD bit, which need not count: whether the resolver validates at all.
// Errors are *Error.
func (c *Client) Validates(ctx context.Context) (validates bool, err error) {
	for _, zone := range signedZones {
		var f *finding
		if f, err = c.find(ctx, zone, dns.TypeSOA); err == nil {
			return !f.trust.withoutAD, nil
		}
		if !isRefusal(err) {
			break
		}
	}
	return false, err
}

// wantsDNSSEC tells for which questions the DO bit is set (RFC 3225): all but
// TXT, whose answers are not used for DANE and need not grow by signatures.
func wantsDNSSEC(qtype uint16) bool { return qtype != dns.TypeTXT }

func tlsaRecord(rr *dns.TLSA) TLSA {
	data, _ := hex.DecodeString(rr.Certificate) // the DNS library's own coding of the octets
	return TLSA{Usage: rr.Usage, Selector: rr.Selector, MatchingType: rr.MatchingType, Data: data}
}

// canonical is a name as this package's answers have it.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
