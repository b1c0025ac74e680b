package dnsclient

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/miekg/dns"
)

const (
	// udpSize is the longest reply over UDP that is asked for. What resolvers
	// agreed on in 2020: it fits IPv6's least MTU, so nothing is fragmented.
	udpSize = 1232
	// readSize leaves room for servers that send more than they were asked to.
	readSize = 4096
)

var (
	errMismatch  = errors.New("the reply belongs to another question")
	errTruncated = errors.New("the reply is truncated, over TCP too")
	errReferral  = errors.New("no recursion: the server refers to others")
)

// parseReply reads a message and checks that it is the reply to q, sent under id
// (RFC 5452 section 9.1).
func parseReply(data []byte, q query, id uint16) (*dns.Msg, error) {
	reply := new(dns.Msg)
	err := reply.Unpack(data)
	switch {
	case err != nil && !reply.Truncated: // old servers truncate amid a record
		return nil, fmt.Errorf("malformed reply: %w", err)
	case !reply.Response || reply.Id != id || reply.Opcode != dns.OpcodeQuery || !sameQuestion(reply, q):
		return nil, errMismatch
	case !reply.Truncated && !complete(data, reply):
		return nil, errors.New("malformed reply: fewer records than it says")
	}
	return reply, nil
}

// sameQuestion reports whether reply has exactly q's question. Servers that report
// an error before they read the question leave it out.
func sameQuestion(reply *dns.Msg, q query) bool {
	if len(reply.Question) == 0 {
		return reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError
	}
	got := reply.Question[0]
	return len(reply.Question) == 1 && got.Qtype == q.qtype && got.Qclass == dns.ClassINET &&
		strings.EqualFold(got.Name, q.name)
}

// complete reports whether the answer and the authority section have as many
// records as the header says: the DNS library takes a message that ends before.
func complete(data []byte, reply *dns.Msg) bool {
	const answers, authorities = 6, 8 // RFC 1035 section 4.1.1
	return int(binary.BigEndian.Uint16(data[answers:])) == len(reply.Answer) &&
		int(binary.BigEndian.Uint16(data[authorities:])) == len(reply.Ns)
}

// refusesEDNS reports whether the reply is one of those that servers without EDNS
// give to it (RFC 6891 section 7).
func refusesEDNS(reply *dns.Msg) bool {
	switch reply.Rcode {
	case dns.RcodeFormatError, dns.RcodeNotImplemented, dns.RcodeBadVers:
		return true
	}
	return false
}

// inconclusive returns why a reply is not conclusive, or nil if it is.
func inconclusive(reply *dns.Msg) error {
	if reply.Rcode != dns.RcodeSuccess && reply.Rcode != dns.RcodeNameError {
		return rcodeError(reply.Rcode)
	}
	// An authority asked for a zone that is not its own sends a referral,
	// which differs from a negative answer only by its lack of an SOA record.
	isSOA := func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeSOA }
	if reply.Rcode == dns.RcodeSuccess && !reply.RecursionAvailable && !reply.Authoritative &&
		len(reply.Answer) == 0 && !slices.ContainsFunc(reply.Ns, isSOA) {
		return errReferral
	}
	return nil
}
