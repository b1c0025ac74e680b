package dnsclient

import (
	"encoding/binary"
	"slices"

	"github.com/miekg/dns"
)

// Where things are in a message and how long they are: RFC 1035 sections 3.1,
// 4.1.1 and 4.1.2, RFC 6891 section 6.1.2.
const (
	additionalsAt  = 10 // the number of additional records
	headerLength   = 12
	longestName    = 255
	questionLength = 4  // but for the name
	optLength      = 11 // an OPT record without options
)

const (
	recursionDesired = 1 << 8  // RFC 1035 section 4.1.1
	authenticData    = 1 << 5  // RFC 6840 section 5.7
	dnssecOK         = 1 << 15 // RFC 3225 section 3
)

// query is one question to a recursive resolver, of class IN.
type query struct {
	name  string // with the last dot
	qtype uint16
	// octets are the message but for its id, which each sending has of its own.
	// They do not change.
	octets []byte
}

// newQuery makes the query for a name that has its last dot. AD asks for the AD
// bit of the reply (RFC 6840 section 5.7), as does DO, which older resolvers need
// for it (RFC 4035 section 3.2.3); CD is never set, so that a validating resolver
// holds bogus data back. The error is errName.
func newQuery(name string, qtype uint16) (query, error) {
	room := min(len(name)+1, longestName)
	octets := make([]byte, 0, headerLength+room+questionLength+optLength)
	header := [headerLength / 2]uint16{0, recursionDesired | authenticData, 1, 0, 0, 1} // one question, one additional record
	for _, field := range header {
		octets = binary.BigEndian.AppendUint16(octets, field)
	}
	end, err := dns.PackDomainName(name, octets[:headerLength+room], headerLength, nil, false)
	if err != nil {
		return query{}, errName
	}
	octets = binary.BigEndian.AppendUint16(octets[:end], qtype)
	octets = binary.BigEndian.AppendUint16(octets, dns.ClassINET)
	return query{name, qtype, appendOPT(octets, wantsDNSSEC(qtype))}, nil
}

// appendOPT appends the record that EDNS consists of: version 0, no options.
func appendOPT(octets []byte, do bool) []byte {
	var flags uint32
	if do {
		flags = dnssecOK
	}
	octets = append(octets, 0) // the root
	octets = binary.BigEndian.AppendUint16(octets, dns.TypeOPT)
	octets = binary.BigEndian.AppendUint16(octets, udpSize)
	octets = binary.BigEndian.AppendUint32(octets, flags)
	return binary.BigEndian.AppendUint16(octets, 0)
}

// withoutEDNS is the same question for servers that know no EDNS.
func (q query) withoutEDNS() query {
	q.octets = slices.Clone(q.octets[:len(q.octets)-optLength])
	binary.BigEndian.PutUint16(q.octets[additionalsAt:], 0)
	return q
}

// appendTo appends the message to dst, with its id.
func (q query) appendTo(dst []byte, id uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	return append(dst, q.octets[2:]...)
}
