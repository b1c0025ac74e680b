package dnsclient

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/miekg/dns"
)

// maxNames limits a chain of CNAME records, the name asked for included. Chains
// of eight and nine names are in use, and resolvers follow more: unbound eleven
// CNAME records.
const maxNames = 16

var (
	errName      = errors.New("not a name that the DNS can carry")
	errAliasLoop = errors.New("its CNAME records form a loop")
	errAliases   = fmt.Errorf("more than %d names in its chain of CNAME records", maxNames)
)

// finding is the result of one question, from the replies so far.
type finding struct {
	names   []string // in lower case: the one asked for, then each CNAME record's target
	records []dns.RR // of the type asked for; their owner is the last of names
	ttl     time.Duration
	hasTTL  bool
	trust   trust
	done    bool // there is nothing more to ask
	noName  bool // the chain's end does not exist

	least time.Duration // of the TTLs met so far
}

func newFinding(name string) *finding {
	return &finding{names: []string{dns.CanonicalName(name)}, least: math.MaxInt64}
}

// trust summarizes the AD bits (RFC 4035 section 3.2.3) of the replies to a question.
type trust struct {
	withoutAD bool // a reply came without AD
	denied    bool // … from a server whose AD bit counts
	uncounted bool // a reply came from a server whose AD bit does not count
}

func (t *trust) add(ad, counts bool) {
	t.withoutAD = t.withoutAD || !ad
	t.denied = t.denied || !ad && counts
	t.uncounted = t.uncounted || !counts
}

func (t *trust) join(other trust) {
	t.withoutAD = t.withoutAD || other.withoutAD
	t.denied = t.denied || other.denied
	t.uncounted = t.uncounted || other.uncounted
}

func (t trust) authenticated() bool { return !t.withoutAD && !t.uncounted }

func (t trust) unknown() bool { return t.uncounted && !t.denied }

// end is the name that the chain has come to.
func (f *finding) end() string { return f.names[len(f.names)-1] }

// add takes in a conclusive reply to the question for the chain's end. counts
// says whether its AD bit counts.
func (f *finding) add(reply *dns.Msg, qtype uint16, counts bool) error {
	f.trust.add(reply.AuthenticatedData, counts)
	asked := f.end()
	for {
		records, err := owned(reply.Answer, f.end(), qtype)
		if err != nil {
			return err
		}
		if len(records) > 0 {
			f.records = records
			f.conclude(records...)
			return nil
		}
		aliases, err := owned(reply.Answer, f.end(), dns.TypeCNAME)
		if err != nil {
			return err
		}
		if len(aliases) == 0 {
			break
		}
		if err := f.follow(aliases[0].(*dns.CNAME)); err != nil {
			return err
		}
	}
	return f.absent(reply, asked)
}

// follow goes on to the target of a CNAME record.
func (f *finding) follow(alias *dns.CNAME) error {
	target := dns.CanonicalName(alias.Target)
	if slices.Contains(f.names, target) {
		return errAliasLoop
	}
	if len(f.names) == maxNames {
		return errAliases
	}
	f.names = append(f.names, target)
	f.least = min(f.least, ttl(alias))
	return nil
}

// link goes on along the CNAME record that is the finding of the chain's end.
func (f *finding) link(found *finding) error {
	f.trust.join(found.trust)
	return f.follow(found.records[0].(*dns.CNAME))
}

// absent concludes that the records do not exist. If the reply only has CNAME
// records, as from some forwarders, the lookup is not done: the last target has
// to be asked for. An SOA record or NXDOMAIN is about the chain's end (RFC 2308
// section 2, RFC 6604 section 3).
func (f *finding) absent(reply *dns.Msg, asked string) error {
	f.noName = reply.Rcode == dns.RcodeNameError
	for _, rr := range reply.Ns {
		soa, ok := rr.(*dns.SOA)
		if !ok || soa.Hdr.Class != dns.ClassINET || !dns.IsSubDomain(soa.Hdr.Name, f.end()) {
			continue
		}
		if soa.Hdr.Rdlength == 0 {
			return malformed(soa)
		}
		f.least = min(f.least, seconds(soa.Minttl))
		f.conclude(soa)
		return nil
	}
	f.done = reply.Rcode == dns.RcodeNameError || f.end() == asked
	return nil
}

// neverExists concludes that a special-use name has no records. No server was asked, so
// this is not authenticated.
func (f *finding) neverExists() {
	f.trust.add(false, true)
	f.ttl, f.hasTTL, f.done = min(f.least, specialUseTTL), true, true
}

// conclude ends the finding with records that say how long it holds.
func (f *finding) conclude(records ...dns.RR) {
	for _, rr := range records {
		f.least = min(f.least, ttl(rr))
	}
	f.ttl, f.hasTTL, f.done = f.least, true, true
}

// owned returns the records of a name. Others do not belong to the question and may be
// an attack.
func owned(rrs []dns.RR, name string, rrtype uint16) ([]dns.RR, error) {
	var found []dns.RR
	for _, rr := range rrs {
		h := rr.Header()
		if h.Rrtype != rrtype || h.Class != dns.ClassINET || !strings.EqualFold(h.Name, name) {
			continue
		}
		if h.Rdlength == 0 {
			return nil, malformed(rr)
		}
		found = append(found, rr)
	}
	return found, nil
}

// malformed is the error for a record without data, which the DNS library lets
// pass because dynamic updates have them.
func malformed(rr dns.RR) error {
	return fmt.Errorf("a %s record without data", dns.TypeToString[rr.Header().Rrtype])
}

func ttl(rr dns.RR) time.Duration { return seconds(rr.Header().Ttl) }

// seconds reads a TTL; one with the top bit set counts as 0 (RFC 2181 section 8).
func seconds(ttl uint32) time.Duration {
	if ttl > math.MaxInt32 {
		return 0
	}
	return time.Duration(ttl) * time.Second
}
