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
	questionLength = 4  // without the name
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
	// message is complete except for its id, which is set each time that it is sent.
	// It does not change.
	message []byte
}

// newQuery makes the query for a name that has its last dot. AD asks for the AD
// bit of the reply (RFC 6840 section 5.7), as does DO, which older resolvers need
// for it (RFC 4035 section 3.2.3); CD is never set, so that a validating resolver
// holds bogus data back. The error is errName.
func newQuery(name string, qtype uint16) (query, error) {
	room := min(len(name)+1, longestName)
	message := make([]byte, 0, headerLength+room+questionLength+optLength)
	header := [headerLength / 2]uint16{0, recursionDesired | authenticData, 1, 0, 0, 1} // one question, one additional record
	for _, field := range header {
		message = binary.BigEndian.AppendUint16(message, field)
	}
	end, err := dns.PackDomainName(name, message[:headerLength+room], headerLength, nil, false)
	if err != nil {
		return query{}, errName
	}
	message = binary.BigEndian.AppendUint16(message[:end], qtype)
	message = binary.BigEndian.AppendUint16(message, dns.ClassINET)
	return query{name, qtype, appendOPT(message, wantsDNSSEC(qtype))}, nil
}

// appendOPT appends the record that EDNS consists of: version 0, no options.
func appendOPT(message []byte, do bool) []byte {
	var flags uint32
	if do {
		flags = dnssecOK
	}
	message = append(message, 0) // the root
	message = binary.BigEndian.AppendUint16(message, dns.TypeOPT)
	message = binary.BigEndian.AppendUint16(message, udpSize)
	message = binary.BigEndian.AppendUint32(message, flags)
	return binary.BigEndian.AppendUint16(message, 0)
}

// withoutEDNS is the same question for servers that know no EDNS.
func (q query) withoutEDNS() query {
	q.message = slices.Clone(q.message[:len(q.message)-optLength])
	binary.BigEndian.PutUint16(q.message[additionalsAt:], 0)
	return q
}

// appendTo appends the message to dst, with its id.
func (q query) appendTo(dst []byte, id uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, id)
	return append(dst, q.message[2:]...)
}
