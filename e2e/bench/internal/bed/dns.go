package bed

import (
	"net"
	"net/netip"
	"strings"

	"golang.org/x/net/dns/dnsmessage"
)

const (
	// longTTL keeps an answer good for as long as a benchmark runs, in seconds.
	longTTL = 3600
	// maxPacket is more than a question takes.
	maxPacket = 1232
)

// DNS is a recursive resolver that has everything in its cache and, to those who
// ask with DO or AD, says that all of it is authentic.
type DNS struct {
	// PolicyHosts is the address of every policy host, MailHosts that of every MX host.
	PolicyHosts, MailHosts netip.Addr
	Ledger                 *Ledger
}

// Serve answers over UDP until conn is closed.
func (d DNS) Serve(conn *net.UDPConn) error {
	in, out := make([]byte, maxPacket), make([]byte, 0, maxPacket)
	for {
		n, client, err := conn.ReadFromUDPAddrPort(in)
		if err != nil {
			return err
		}
		reply, err := d.reply(out, in[:n])
		if err != nil {
			continue // no answer to a malformed message
		}
		if _, err := conn.WriteToUDPAddrPort(reply, client); err != nil {
			return err
		}
	}
}

// question is a question, and whether it asks for authenticated data.
type question struct {
	dnsmessage.Question
	header   dnsmessage.Header
	edns, do bool
}

func parseQuestion(packet []byte) (q question, err error) {
	var p dnsmessage.Parser
	if q.header, err = p.Start(packet); err != nil {
		return q, err
	}
	if q.Question, err = p.Question(); err != nil {
		return q, err
	}
	if p.SkipAllQuestions() != nil || p.SkipAllAnswers() != nil || p.SkipAllAuthorities() != nil {
		return q, nil
	}
	if h, err := p.AdditionalHeader(); err == nil && h.Type == dnsmessage.TypeOPT {
		q.edns, q.do = true, h.DNSSECAllowed()
	}
	return q, nil
}

func (d DNS) reply(dst, packet []byte) ([]byte, error) {
	q, err := parseQuestion(packet)
	if err != nil {
		return nil, err
	}
	exists, resource := d.find(q.Name.String(), q.Type)
	header := dnsmessage.Header{
		ID: q.header.ID, Response: true, RecursionDesired: q.header.RecursionDesired, RecursionAvailable: true,
		AuthenticData: q.do || q.header.AuthenticData,
	}
	if !exists {
		header.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(dst, header)
	b.EnableCompression()
	// The builder returns errors for messages that are too long; these are short.
	b.StartQuestions()
	b.Question(q.Question)
	rr := dnsmessage.ResourceHeader{Name: q.Name, Class: dnsmessage.ClassINET, TTL: d.Ledger.ttl()}
	switch resource := resource.(type) {
	case *dnsmessage.TXTResource:
		b.StartAnswers()
		b.TXTResource(rr, *resource)
	case *dnsmessage.AResource:
		b.StartAnswers()
		b.AResource(rr, *resource)
	case *dnsmessage.MXResource:
		b.StartAnswers()
		b.MXResource(rr, *resource)
	default:
		b.StartAuthorities()
		rr.Name = dnsmessage.MustNewName("test.")
		b.SOAResource(rr, soa)
	}
	if q.edns {
		var opt dnsmessage.ResourceHeader
		opt.SetEDNS0(maxPacket, dnsmessage.RCodeSuccess, q.do)
		b.StartAdditionals()
		b.OPTResource(opt, dnsmessage.OPTResource{})
	}
	return b.Finish()
}

var soa = dnsmessage.SOAResource{
	NS: dnsmessage.MustNewName("ns.test."), MBox: dnsmessage.MustNewName("hostmaster.test."),
	Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, MinTTL: longTTL,
}

// find returns the name's record of that type, or nil, and whether the name
// exists.
func (d DNS) find(name string, qtype dnsmessage.Type) (exists bool, resource dnsmessage.ResourceBody) {
	name = strings.TrimSuffix(strings.ToLower(name), ".")
	label, rest, _ := strings.Cut(name, ".")
	published := strings.HasSuffix(name, policyZone)
	d.Ledger.count(label == recordLabel, published)
	switch {
	case label == recordLabel:
		if published && qtype == dnsmessage.TypeTXT {
			resource = &dnsmessage.TXTResource{TXT: []string{d.Ledger.record(rest)}}
		}
		return published, resource
	case label == "mx1":
		return true, address(d.MailHosts, qtype)
	case label == "mta-sts" && published:
		return true, address(d.PolicyHosts, qtype)
	case rest == policyZone[1:] || rest == absentZone[1:]:
		if qtype == dnsmessage.TypeMX {
			resource = &dnsmessage.MXResource{Pref: 10, MX: dnsmessage.MustNewName("mx1." + name + ".")}
		}
		return true, resource
	default:
		return false, nil
	}
}

// address is a host's record of that type, or nil. All hosts have IPv4 addresses only.
func address(addr netip.Addr, qtype dnsmessage.Type) dnsmessage.ResourceBody {
	if qtype != dnsmessage.TypeA {
		return nil
	}
	return &dnsmessage.AResource{A: addr.As4()}
}
