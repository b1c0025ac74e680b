package resolvertest

import (
	"net"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// EveryName is the name for Misbehave that stands for all names without a
// fault of their own.
const EveryName = "*"

// DNSFault answers one question in its own ill way, in place of the server. A
// test may write its own.
type DNSFault func(*DNSExchange)

// DNSExchange is one question on its way to an answer.
type DNSExchange struct {
	Query *dns.Msg
	Reply *dns.Msg // the server's own reply; may be changed

	w    dns.ResponseWriter
	done <-chan struct{}
}

// Misbehave makes the server answer all questions for name by fault; nil makes
// it well again. EveryName stands for all other names.
func (d *DNS) Misbehave(name string, fault DNSFault) {
	if name != EveryName {
		name = dns.CanonicalName(name)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if fault == nil {
		delete(d.faults, name)
		return
	}
	d.faults[name] = fault
}

// TCP tells whether the question came over TCP.
func (x *DNSExchange) TCP() bool { return x.Client().Network() == "tcp" }

// Client is the address of the client.
func (x *DNSExchange) Client() net.Addr { return x.w.RemoteAddr() }

// Close closes the connection that the question came over, if it was TCP.
func (x *DNSExchange) Close() { x.w.Close() }

// Send sends the reply, truncated if it is too long for the client.
func (x *DNSExchange) Send() {
	if !x.TCP() {
		size := dns.MinMsgSize
		if opt := x.Query.IsEdns0(); opt != nil {
			size = max(size, int(opt.UDPSize()))
		}
		x.Reply.Truncate(size)
	}
	x.w.WriteMsg(x.Reply) // the client may be gone; the test does not fail for that
}

// SendBytes sends data as the reply, whatever it is.
func (x *DNSExchange) SendBytes(data []byte) { x.w.Write(data) }

// DNSRcode answers nothing but an error, such as dns.RcodeServerFailure.
func DNSRcode(rcode int) DNSFault {
	return func(x *DNSExchange) {
		x.Reply.Answer, x.Reply.Ns = nil, nil
		x.Reply.Rcode = rcode
		x.Send()
	}
}

// DNSSilent never answers.
func DNSSilent(*DNSExchange) {}

// DNSDelay answers rightly, but only after delay.
func DNSDelay(delay time.Duration) DNSFault {
	return func(x *DNSExchange) {
		select {
		case <-time.After(delay):
			x.Send()
		case <-x.done:
		}
	}
}

// DNSTruncated answers over UDP with the TC bit and no records, so that the
// client has to come again over TCP.
func DNSTruncated(x *DNSExchange) {
	if !x.TCP() {
		x.Reply.Answer, x.Reply.Ns = nil, nil
		x.Reply.Truncated = true
	}
	x.Send()
}

// DNSWrongID answers under an id that is not the question's.
func DNSWrongID(x *DNSExchange) {
	x.Reply.Id++
	x.Send()
}

// DNSWrongQuestion answers another question, under the right id.
func DNSWrongQuestion(x *DNSExchange) {
	other := x.Query.Question[0]
	other.Name = "other.invalid."
	x.Reply.Question = []dns.Question{other}
	x.Send()
}

// DNSGarbage answers with bytes that are not a DNS message.
func DNSGarbage(x *DNSExchange) { x.SendBytes([]byte("no DNS message at all")) }

// DNSSpoofed sends the forged replies that an attacker may send in time and then
// the right answer. The forged ones are garbage, and replies that deny the name:
// with a wrong id, to a wrong question, and in a message without the QR bit.
func DNSSpoofed(x *DNSExchange) {
	right := x.Reply
	claim := func(fault DNSFault) {
		x.Reply = new(dns.Msg).SetRcode(x.Query, dns.RcodeNameError)
		fault(x)
	}
	claim(DNSGarbage)
	claim(DNSWrongID)
	claim(DNSWrongQuestion)
	claim(func(x *DNSExchange) {
		x.Reply.Response = false
		x.Send()
	})
	x.Reply = right
	x.Send()
}

// DNSWithoutEDNS answers FORMERR to EDNS and rightly to plain DNS, as old
// servers do (RFC 6891 section 7).
func DNSWithoutEDNS(x *DNSExchange) {
	if x.Query.IsEdns0() != nil {
		x.Reply = new(dns.Msg).SetRcodeFormatError(x.Query)
		x.Reply.Question = x.Query.Question
	}
	x.Send()
}

// DNSWithoutSOA answers rightly, but without the SOA record of an absence.
func DNSWithoutSOA(x *DNSExchange) {
	x.Reply.Ns = nil
	x.Send()
}

// DNSAliasOnly answers with the first CNAME record alone and leaves the rest
// of the chain to the client, as some forwarders do.
func DNSAliasOnly(x *DNSExchange) {
	x.Reply.Rcode = dns.RcodeSuccess
	x.Reply.Answer, x.Reply.Ns = x.Reply.Answer[:min(1, len(x.Reply.Answer))], nil
	x.Send()
}

// DNSAliasLoop answers with two names that are each other's CNAME.
func DNSAliasLoop(x *DNSExchange) {
	name := x.Query.Question[0].Name
	x.Reply.Rcode = dns.RcodeSuccess
	x.Reply.Answer, x.Reply.Ns = []dns.RR{alias(name, "loop."+name), alias("loop."+name, name)}, nil
	x.Send()
}

// DNSAliasEndless answers each name with a CNAME to one that has not been seen.
// The fault is for EveryName: the new names must have it too.
func DNSAliasEndless(x *DNSExchange) {
	name := x.Query.Question[0].Name
	x.Reply.Rcode = dns.RcodeSuccess
	x.Reply.Answer, x.Reply.Ns = []dns.RR{alias(name, "x"+name)}, nil
	x.Send()
}

func alias(name, target string) dns.RR {
	return &dns.CNAME{
		Hdr:    dns.RR_Header{Name: name, Rrtype: dns.TypeCNAME, Class: dns.ClassINET, Ttl: 300},
		Target: target,
	}
}

// DNSHuge answers rightly, with TXT records after it that fill up nearly all
// of a DNS message's 64 KiB.
func DNSHuge(x *DNSExchange) {
	hdr := dns.RR_Header{Name: x.Query.Question[0].Name, Rrtype: dns.TypeTXT, Class: dns.ClassINET, Ttl: 300}
	filler := strings.Repeat("x", 250)
	for x.Reply.Len() < dns.MaxMsgSize-1000 {
		x.Reply.Answer = append(x.Reply.Answer, &dns.TXT{Hdr: hdr, Txt: []string{filler, filler}})
	}
	x.Send()
}
