package far

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// Domain has the records of a domain. In its texts %s is the name of the domain.
type Domain struct {
	// Records are in the form of a zone file.
	Records []string
	// Unsigned domains have answers without the AD bit.
	Unsigned bool
	// Broken are names whose question for AAAA records fails (SERVFAIL), Mute those
	// for which it is never answered.
	Broken, Mute []string
}

// Resolver is a recursive resolver that is some way off and has all answers in its
// cache. It answers over UDP, which takes one round trip.
type Resolver struct {
	roundTrip time.Duration
	names     map[string]*node
}

// node is what there is of a name.
type node struct {
	records  []dns.RR
	unsigned bool
	broken   bool
	mute     bool
}

// NewResolver makes a resolver without domains.
func NewResolver(roundTrip time.Duration) *Resolver {
	return &Resolver{roundTrip, map[string]*node{}}
}

// Add adds a domain. It must not be called after Serve.
func (r *Resolver) Add(name string, d Domain) error {
	named := func(text string) string { return dns.CanonicalName(strings.ReplaceAll(text, "%s", name)) }
	at := func(name string) *node {
		n := r.names[name]
		if n == nil {
			n = &node{unsigned: d.Unsigned}
			r.names[name] = n
		}
		return n
	}
	at(named("%s")) // exists without records too
	for _, text := range d.Records {
		rr, err := dns.NewRR(strings.ReplaceAll(text, "%s", name))
		if err != nil {
			return fmt.Errorf("record of %s: %w", name, err)
		}
		n := at(dns.CanonicalName(rr.Header().Name))
		n.records = append(n.records, rr)
	}
	for _, broken := range d.Broken {
		at(named(broken)).broken = true
	}
	for _, mute := range d.Mute {
		at(named(mute)).mute = true
	}
	return nil
}

// Serve answers over UDP until conn is closed.
func (r *Resolver) Serve(conn net.PacketConn) error {
	server := &dns.Server{PacketConn: conn, Handler: dns.HandlerFunc(r.answer)}
	return server.ActivateAndServe()
}

// answer answers after a round trip. Each question has a goroutine of its own.
func (r *Resolver) answer(w dns.ResponseWriter, q *dns.Msg) {
	if reply := r.reply(q); reply != nil {
		time.Sleep(r.roundTrip)
		w.WriteMsg(reply)
	}
}

// reply returns nil for a question that is not answered.
func (r *Resolver) reply(q *dns.Msg) *dns.Msg {
	reply := new(dns.Msg).SetReply(q)
	reply.RecursionAvailable = true
	asksAD := q.AuthenticatedData
	if opt := q.IsEdns0(); opt != nil {
		reply.SetEdns0(dns.DefaultMsgSize, opt.Do())
		asksAD = asksAD || opt.Do()
	}
	asked := q.Question[0]
	n := r.names[dns.CanonicalName(asked.Name)]
	switch {
	case n == nil:
		reply.Rcode = dns.RcodeNameError
	case n.mute && asked.Qtype == dns.TypeAAAA:
		return nil
	case n.broken && asked.Qtype == dns.TypeAAAA:
		reply.Rcode = dns.RcodeServerFailure
		return reply
	default:
		reply.Answer = slices.Clone(n.records)
		reply.Answer = slices.DeleteFunc(reply.Answer, func(rr dns.RR) bool { return rr.Header().Rrtype != asked.Qtype })
	}
	reply.AuthenticatedData = asksAD && !r.unsigned(asked.Name)
	if len(reply.Answer) == 0 {
		reply.Ns = []dns.RR{soa()}
	}
	return reply
}

// unsigned reports whether a name or one that it is below of is unsigned.
func (r *Resolver) unsigned(name string) bool {
	name = dns.CanonicalName(name)
	for _, at := range dns.Split(name) {
		if n := r.names[name[at:]]; n != nil {
			return n.unsigned
		}
	}
	return false
}

// soa is of the zone that has all domains.
func soa() dns.RR {
	return &dns.SOA{
		Hdr: dns.RR_Header{Name: "test.", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: negativeTTL},
		Ns:  "ns.test.", Mbox: "hostmaster.test.", Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: negativeTTL,
	}
}

// negativeTTL is in seconds: longer than a benchmark takes.
const negativeTTL = 3600
