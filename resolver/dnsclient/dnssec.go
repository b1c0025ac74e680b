package dnsclient

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"

	"github.com/miekg/dns"
)

// TLSA is a record that restricts the certificate of a TLS server (RFC 6698 section
// 2.1). Its contents are not checked; a record too short for its fields has zeros and no
// Data.
type TLSA struct {
	Usage, Selector, MatchingType uint8
	Data                          []byte
}

// Matches reports whether the record selects cert (RFC 6698 section 2.1). It looks at
// the selector, the matching type and the data, not at the usage.
func (r TLSA) Matches(cert *x509.Certificate) bool {
	want, err := dns.CertificateToDANE(r.Selector, r.MatchingType, cert)
	return err == nil && want == hex.EncodeToString(r.Data)
}

// String returns the record's data as a zone file has it.
func (r TLSA) String() string {
	return fmt.Sprintf("%d %d %d %s", r.Usage, r.Selector, r.MatchingType, hex.EncodeToString(r.Data))
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

// Host is the addresses of a mail host.
type Host struct {
	// Answer has the IPv4 addresses or, without any, the IPv6 addresses. If one
	// family has none, that does not influence whether the other is authenticated.
	Answer[netip.Addr]
	// Canonical is the name that owns the addresses, in lower case without the
	// last dot: the end of the chain of CNAME records, or the name asked for.
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
	return c.hostV6(ctx, name, v4, err4)
}

// hostV6 is Host for a name without IPv4 addresses, or whose question for them failed.
func (c *Client) hostV6(ctx context.Context, name string, v4 Answer[netip.Addr], err4 error) (Host, error) {
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
		var f *chain
		if f, err = c.find(ctx, zone, dns.TypeSOA); err == nil {
			return !f.trust.withoutAD, nil
		}
		if !isRefusal(err) {
			break
		}
	}
	return false, err
}

// wantsDNSSEC reports whether questions of this type have the DO bit (RFC 3225): all
// except TXT, which DANE does not use, so that its replies do not grow by signatures.
func wantsDNSSEC(qtype uint16) bool { return qtype != dns.TypeTXT }

func tlsaRecord(rr *dns.TLSA) TLSA {
	data, _ := hex.DecodeString(rr.Certificate) // the DNS library has encoded it
	return TLSA{Usage: rr.Usage, Selector: rr.Selector, MatchingType: rr.MatchingType, Data: data}
}

// canonical is a name as this package's answers have it.
func canonical(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
