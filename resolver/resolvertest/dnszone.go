package resolvertest

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"
)

// zone holds the records of a DNS server by owner and type.
type zone struct {
	mu       sync.RWMutex
	records  map[string]map[uint16][]dns.RR
	below    map[string]int // owners at or under this name: what exists (RFC 8020)
	negative dns.SOA        // goes with an absence outside the zones that were added
}

func newZone() zone {
	const ttl, minimum = 300, 300
	return zone{
		records: make(map[string]map[uint16][]dns.RR),
		below:   make(map[string]int),
		negative: dns.SOA{
			Hdr: dns.RR_Header{Name: ".", Rrtype: dns.TypeSOA, Class: dns.ClassINET, Ttl: ttl},
			Ns:  "ns.invalid.", Mbox: "hostmaster.invalid.",
			Serial: 1, Refresh: 3600, Retry: 600, Expire: 86400, Minttl: minimum,
		},
	}
}

// Add adds records, each written as one line of a zone file, such as
//
//	_mta-sts.good.test. 300 IN TXT "v=STSv1; id=1;"
//
// Names are absolute with or without the last dot. An invalid line fails the
// test.
func (d *DNS) Add(lines ...string) {
	d.tb.Helper()
	for _, line := range lines {
		rr, err := dns.NewRR(line)
		if err == nil && rr == nil {
			err = fmt.Errorf("no record in it")
		}
		if err != nil {
			d.tb.Fatalf("zone line %q: %v", line, err)
		}
		d.AddRecord(rr)
	}
}

// AddRecord adds one record that need not be writable as a zone line. The
// caller must not change it afterwards.
func (d *DNS) AddRecord(rr dns.RR) { d.zone.add(rr) }

// Remove removes all records of name and type, if there are any.
func (d *DNS) Remove(name string, rrtype uint16) { d.zone.remove(name, rrtype) }

// Publish makes domain one that publishes MTA-STS: its record with the policy
// id, in place of the one before, and a policy host at 127.0.0.1.
func (d *DNS) Publish(domain, id string) {
	d.tb.Helper()
	record, host := "_mta-sts."+domain+".", "mta-sts."+domain+"."
	d.zone.mu.Lock()
	defer d.zone.mu.Unlock()
	d.zone.removeLocked(record, dns.TypeTXT)
	d.zone.removeLocked(host, dns.TypeA)
	for _, line := range []string{
		fmt.Sprintf(`%s 300 IN TXT "v=STSv1; id=%s;"`, record, id),
		fmt.Sprintf(`%s 300 IN A 127.0.0.1`, host),
	} {
		rr, err := dns.NewRR(line)
		if err != nil {
			d.tb.Fatalf("publishing %q: %v", domain, err)
		}
		d.zone.addLocked(rr)
	}
}

// SetNegativeTTL sets the TTL and the MINIMUM field of the SOA record that
// comes with an absence (RFC 2308 section 3), in whole seconds. It is not for
// zones whose own SOA record has been added.
func (d *DNS) SetNegativeTTL(ttl, minimum time.Duration) {
	d.zone.mu.Lock()
	defer d.zone.mu.Unlock()
	d.zone.negative.Hdr.Ttl = uint32(ttl / time.Second)
	d.zone.negative.Minttl = uint32(minimum / time.Second)
}

func (z *zone) add(rr dns.RR) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.addLocked(rr)
}

func (z *zone) addLocked(rr dns.RR) {
	name := dns.CanonicalName(rr.Header().Name)
	if z.records[name] == nil {
		z.records[name] = make(map[uint16][]dns.RR)
		z.exists(name, 1)
	}
	// Clipped, because replies under way may hold the old slice.
	rrs := z.records[name][rr.Header().Rrtype]
	z.records[name][rr.Header().Rrtype] = append(slices.Clip(rrs), rr)
}

func (z *zone) remove(name string, rrtype uint16) {
	z.mu.Lock()
	defer z.mu.Unlock()
	z.removeLocked(name, rrtype)
}

func (z *zone) removeLocked(name string, rrtype uint16) {
	name = dns.CanonicalName(name)
	types, ok := z.records[name]
	if !ok {
		return
	}
	delete(types, rrtype)
	if len(types) == 0 {
		delete(z.records, name)
		z.exists(name, -1)
	}
}

// exists counts an owner in or out, for itself and every name above it.
func (z *zone) exists(name string, n int) {
	for off, end := 0, false; !end; off, end = dns.NextLabel(name, off) {
		if z.below[name[off:]] += n; z.below[name[off:]] == 0 {
			delete(z.below, name[off:])
		}
	}
}

// answer fills reply with the records for question, whose name is canonical. It
// follows CNAMEs as a resolver does.
func (z *zone) answer(reply *dns.Msg, question dns.Question) {
	const maxChain = 32 // only a loop is longer
	z.mu.RLock()
	defer z.mu.RUnlock()
	name := question.Name
	reply.Authoritative = z.soa(name) != nil
	for range maxChain {
		types := z.records[name]
		if rrs := types[question.Qtype]; len(rrs) > 0 {
			reply.Answer = append(reply.Answer, rrs...)
			return
		}
		alias := types[dns.TypeCNAME]
		if len(alias) == 0 {
			z.absent(reply, name)
			return
		}
		reply.Answer = append(reply.Answer, alias...)
		name = dns.CanonicalName(alias[0].(*dns.CNAME).Target)
	}
	reply.Answer = nil
	reply.Rcode = dns.RcodeServerFailure
}

// absent says that name has no such records, or does not exist at all.
func (z *zone) absent(reply *dns.Msg, name string) {
	if z.below[name] == 0 {
		reply.Rcode = dns.RcodeNameError
	}
	if soa := z.soa(name); soa != nil {
		reply.Ns = append(reply.Ns, soa)
		return
	}
	soa := z.negative
	reply.Ns = append(reply.Ns, &soa)
}

// soa is the SOA record of the closest zone around name that was added, or nil.
func (z *zone) soa(name string) dns.RR {
	for {
		if rrs := z.records[name][dns.TypeSOA]; len(rrs) > 0 {
			return rrs[0]
		}
		_, rest, ok := strings.Cut(name, ".")
		if !ok || name == "." {
			return nil
		}
		if name = rest; name == "" {
			name = "."
		}
	}
}
