package resolvertest

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/miekg/dns"
)

// DNS is a name server on one loopback address, UDP and TCP. It answers as a
// recursive resolver answers that has everything in its cache, and as the
// authority for each zone whose SOA record has been added.
type DNS struct {
	tb            testing.TB
	addr          netip.AddrPort
	done          chan struct{} // closed when the test is over
	zone          zone
	authenticated atomic.Bool

	mu       sync.Mutex // guards what follows
	faults   map[string]DNSFault
	queries  map[dns.Question]int
	unsigned []string // zones, by their canonical names
}

// StartDNS starts a server on a free port of 127.0.0.1.
func StartDNS(tb testing.TB) *DNS {
	tb.Helper()
	return StartDNSAt(tb, "127.0.0.1:0")
}

// StartDNSAt starts a server on addr, an IP address and port. Port 0 is any
// that is free for both UDP and TCP.
func StartDNSAt(tb testing.TB, addr string) *DNS {
	tb.Helper()
	packets, listener, err := listenBoth(addr)
	if err != nil {
		tb.Fatalf("DNS server on %s: %v", addr, err)
	}
	d := &DNS{
		tb:      tb,
		addr:    netip.MustParseAddrPort(packets.LocalAddr().String()),
		done:    make(chan struct{}),
		zone:    newZone(),
		faults:  make(map[string]DNSFault),
		queries: make(map[dns.Question]int),
	}
	var running sync.WaitGroup
	servers := []*dns.Server{
		{PacketConn: packets, Handler: d, UDPSize: dns.MaxMsgSize},
		{Listener: listener, Handler: d},
	}
	for _, s := range servers {
		started := make(chan struct{})
		s.NotifyStartedFunc = func() { close(started) }
		running.Go(func() {
			if err := s.ActivateAndServe(); err != nil {
				tb.Errorf("DNS server on %s: %v", d.addr, err)
			}
		})
		<-started
	}
	tb.Cleanup(func() {
		close(d.done)
		for _, s := range servers {
			if err := s.Shutdown(); err != nil {
				tb.Errorf("DNS server on %s: stopping: %v", d.addr, err)
			}
		}
		running.Wait()
	})
	return d
}

// listenBoth opens UDP and TCP on the same port. The kernel picks a port that
// is free for UDP; where TCP has it already, another is tried.
func listenBoth(addr string) (net.PacketConn, net.Listener, error) {
	const tries = 20
	var err error
	for range tries {
		var packets net.PacketConn
		packets, err = net.ListenPacket("udp", addr)
		if err != nil {
			return nil, nil, err
		}
		var listener net.Listener
		listener, err = net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener, nil
		}
		packets.Close()
		if !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	return nil, nil, err
}

// Addr is the server's address, the same for UDP and TCP.
func (d *DNS) Addr() netip.AddrPort { return d.addr }

// SetAuthenticated sets whether answers carry the AD bit, which is off at first.
// Only clients that ask for it with AD or DO get it (RFC 6840 section 5.8), and
// no answer that has records of an Unsigned zone.
func (d *DNS) SetAuthenticated(ad bool) { d.authenticated.Store(ad) }

// Unsigned takes name and all below it out of what SetAuthenticated vouches
// for, as a delegation without DS record does. An answer has the AD bit only if
// every name on its chain of CNAME records may have it.
func (d *DNS) Unsigned(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsigned = append(d.unsigned, dns.CanonicalName(name))
}

// vouchesFor tells whether the records of reply may have the AD bit.
func (d *DNS) vouchesFor(reply *dns.Msg) bool {
	question := reply.Question[0]
	names := []string{question.Name}
	for _, rr := range reply.Answer {
		if alias, ok := rr.(*dns.CNAME); ok && question.Qtype != dns.TypeCNAME {
			names = append(names, alias.Target)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, name := range names {
		for _, zone := range d.unsigned {
			if dns.IsSubDomain(zone, name) {
				return false
			}
		}
	}
	return d.authenticated.Load()
}

// Queries tells how many questions for name and type have come in, over UDP
// and TCP together: an answer that is truncated makes two of one lookup.
func (d *DNS) Queries(name string, qtype uint16) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.queries[dns.Question{Name: dns.CanonicalName(name), Qtype: qtype, Qclass: dns.ClassINET}]
}

// ServeDNS answers one message; it makes DNS a dns.Handler.
func (d *DNS) ServeDNS(w dns.ResponseWriter, query *dns.Msg) {
	x := &DNSExchange{Query: query, Reply: new(dns.Msg), w: w, done: d.done}
	x.Reply.SetReply(query)
	x.Reply.RecursionAvailable = true
	if len(query.Question) != 1 {
		x.Reply.Rcode = dns.RcodeFormatError
		x.Send()
		return
	}
	opt := query.IsEdns0()
	if opt != nil {
		x.Reply.SetEdns0(dns.DefaultMsgSize, opt.Do())
	}
	question := query.Question[0]
	question.Name = dns.CanonicalName(question.Name)
	fault := d.count(question)
	d.zone.answer(x.Reply, question)
	asked := query.AuthenticatedData || opt != nil && opt.Do()
	x.Reply.AuthenticatedData = asked && d.vouchesFor(x.Reply)
	if fault != nil {
		fault(x)
		return
	}
	x.Send()
}

// count notes the question and returns the fault for its name, or nil.
func (d *DNS) count(question dns.Question) DNSFault {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.queries[question]++
	if fault, ok := d.faults[question.Name]; ok {
		return fault
	}
	return d.faults[EveryName]
}
