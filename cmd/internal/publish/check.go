package publish

import (
	"context"
	"crypto/x509"
	"errors"
	"net/netip"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/policyhost"
)

// Limits of one check.
const (
	domainsAtOnce = 4
	hostsAtOnce   = 4
	maxAddresses  = 8 // of a host; mail servers try a handful
	memoryLimit   = 5 * time.Second
	historyLimit  = 2 * 365 * day
)

// Memory returns the running daemon's knowledge of domains; *admin.Client implements it.
type Memory interface {
	Domain(ctx context.Context, domain string) (admin.Domain, error)
	Changes(ctx context.Context, since time.Time) (admin.History, error)
}

// Options of Check and Generate. The zero value is fine.
type Options struct {
	// Memory is asked for each domain; nil if no daemon is to be asked.
	Memory Memory
	// Reference is a mail host that is known to answer on port 25. If none of those
	// that are checked answers, it shows whether port 25 is blocked here.
	Reference string
	// Progress is called when a domain is done; nil for none.
	Progress func()
	// TestingOnlyPort returns what takes the place of port 25 for a host; nil for 25.
	TestingOnlyPort func(host string) uint16
}

// Check looks at what each domain publishes. The reports are in the order of domains.
func Check(ctx context.Context, c clients.Clients, domains []mtasts.Domain, o Options) []*Report {
	p := newProber(o.TestingOnlyPort)
	looks := make([]*look, len(domains))
	group := new(errgroup.Group)
	group.SetLimit(domainsAtOnce)
	for i, d := range domains {
		group.Go(func() error {
			looks[i] = newLook(c, o, p, d)
			looks[i].gather(ctx)
			if o.Progress != nil {
				o.Progress()
			}
			return nil
		})
	}
	group.Wait()
	port25 := p.port25(ctx, c, o.Reference)
	reports := make([]*Report, len(looks))
	for i, l := range looks {
		reports[i] = l.judge(port25)
	}
	return reports
}

// look holds the observations of one domain. gather fills it, judge makes findings of it.
type look struct {
	clients.Clients
	Options
	prober *prober
	domain mtasts.Domain
	now    time.Time
	roots  *x509.CertPool

	seen         *explain.Report // as "query" has it, without the daemon
	resolverDown error           // why the resolver does not know the root zone; nil if it does
	hosts        []mailHost
	policyHost   policyHost
	rua          []ruaFault
	atDomain     []string      // TXT records of the domain itself: a wrong place for the records below it
	known        *admin.Domain // the daemon's knowledge; nil if it has none
	testingSince time.Time     // by the daemon's history; zero if it is not known

	report *Report
	policy *mtasts.Policy // nil without a valid one
}

// mailHost is a host that takes the domain's mail.
type mailHost struct {
	explain.Host
	sessions map[netip.Addr]session
	refused  map[netip.Addr]string // addresses that are not connected to, and why
	tlsa     dnsclient.Answer[dnsclient.TLSA]
	tlsaErr  error
}

// policyHost is what each address of the policy host served.
type policyHost struct {
	err     error // of the lookup of its addresses
	alias   string
	fetches []fetch
	left    int // addresses that were not looked at
}

// fetch is an attempt to fetch the policy from one address.
type fetch struct {
	addr netip.Addr
	policyhost.Inspection
	err error
	// misplaced is the path at which a policy was found, if the right one has none.
	misplaced string
}

func newLook(c clients.Clients, o Options, p *prober, d mtasts.Domain) *look {
	l := &look{Clients: c, Options: o, prober: p, domain: d, now: time.Now(), report: &Report{Domain: d.String(), Findings: []Finding{}, hosts: map[string]int{}}}
	if c.Authorities != nil {
		l.roots = c.Authorities.Pool()
	}
	return l
}

// gather asks the DNS, the policy host, the mail hosts and the daemon.
func (l *look) gather(ctx context.Context) {
	l.seen, _ = explain.Look(ctx, l.Clients, l.domain.String(), explain.Options{}) // a domain is a next hop
	var steps sync.WaitGroup
	for _, step := range []func(context.Context){l.askMemory, l.askHosts, l.fetchAll, l.askReportDestinations, l.askDomain} {
		steps.Go(func() { step(ctx) })
	}
	steps.Go(func() { l.resolverDown = l.DNS.Probe(ctx) })
	steps.Wait()
}

// askDomain looks for records at the domain itself that belong below it.
func (l *look) askDomain(ctx context.Context) {
	answer, _ := l.DNS.TXT(ctx, l.domain.String()) // without an answer the hint is left out
	l.atDomain = answer.Records
}

// askMemory asks the daemon what it keeps of the domain, and since when its policy has
// been in mode testing.
func (l *look) askMemory(ctx context.Context) {
	if l.Memory == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, memoryLimit)
	defer cancel()
	known, err := l.Memory.Domain(ctx, l.domain.String())
	if err != nil {
		return // no daemon runs, or it knows nothing
	}
	l.known = &known
	if l.seen.Policy == nil || l.seen.Policy.Mode != mtasts.ModeTesting.String() {
		return
	}
	history, err := l.Memory.Changes(ctx, l.now.Add(-historyLimit))
	if err != nil {
		return
	}
	for _, c := range history.Changes { // the newest first
		if c.Domain == l.domain.String() && c.NewMode != "" {
			if c.NewMode == mtasts.ModeTesting.String() {
				l.testingSince = c.At
				continue
			}
			return
		}
	}
}

// askHosts talks to the mail hosts and looks up their TLSA records.
func (l *look) askHosts(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(hostsAtOnce)
	l.hosts = make([]mailHost, len(l.seen.MX.Hosts))
	for i, h := range l.seen.MX.Hosts {
		group.Go(func() error {
			l.hosts[i] = l.askHost(ctx, h)
			return nil
		})
	}
	group.Wait()
}

func (l *look) askHost(ctx context.Context, h explain.Host) mailHost {
	m := mailHost{Host: h, sessions: map[netip.Addr]session{}, refused: map[netip.Addr]string{}}
	for _, text := range h.Addresses[:min(len(h.Addresses), maxAddresses)] {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		if why := l.Policies.WhyNot(addr); why != "" {
			m.refused[addr] = why
			continue
		}
		m.sessions[addr] = l.prober.probe(ctx, h.Name, addr)
	}
	// The end of a chain of CNAME records comes first (RFC 7672 section 2.2.3).
	for _, base := range []string{h.Alias, h.Name} {
		name := "_25._tcp." + base
		if base != "" && len(name) <= maxNameLen && len(m.tlsa.Records) == 0 && m.tlsaErr == nil {
			m.tlsa, m.tlsaErr = l.DNS.TLSA(ctx, name)
		}
	}
	return m
}

// maxNameLen is the length of the longest name in the DNS (RFC 1035 section 2.3.4).
const maxNameLen = 253

// otherPaths are those at which policies are found that were put in the wrong place.
func otherPaths() []string { return []string{"/mta-sts.txt", "/.well-known/mta-sts"} }

// fetchAll fetches the policy from each address, even if no record announces one.
func (l *look) fetchAll(ctx context.Context) {
	answer, err := l.DNS.Addresses(ctx, l.domain.PolicyHost())
	l.policyHost.err, l.policyHost.alias = err, answer.Alias
	l.policyHost.left = max(len(answer.Records)-maxAddresses, 0)
	l.policyHost.fetches = make([]fetch, min(len(answer.Records), maxAddresses))
	var group errgroup.Group
	group.SetLimit(hostsAtOnce)
	for i := range l.policyHost.fetches {
		group.Go(func() error {
			l.policyHost.fetches[i] = l.fetch(ctx, answer.Records[i])
			return nil
		})
	}
	group.Wait()
}

func (l *look) fetch(ctx context.Context, addr netip.Addr) fetch {
	f := fetch{addr: addr.Unmap()}
	at := l.Policies.At(f.addr)
	f.Inspection, f.err = at.Inspect(ctx, l.domain)
	if f.err == nil || f.Response == nil || !isMissing(f.Response.Status) {
		return f
	}
	for _, path := range otherPaths() {
		text, err := at.WithPath(path).Fetch(ctx, l.domain)
		if err != nil {
			continue
		}
		if _, err := mtasts.ParsePolicy(text); err == nil {
			f.misplaced = path
			break
		}
	}
	return f
}

// port25 is whether mail servers can be reached from here.
type port25 int

const (
	portOpen    port25 = iota
	portUnclear        // nobody answered, and no reference was given
	portBlocked        // the reference did not answer either
)

// port25 returns whether this host reaches mail servers. The reference is asked only
// if no other has answered.
func (p *prober) port25(ctx context.Context, c clients.Clients, reference string) port25 {
	if p.answered.Load() {
		return portOpen
	}
	if reference == "" {
		return portUnclear
	}
	answer, _ := c.DNS.Addresses(ctx, reference) // one that cannot be found shows nothing
	if len(answer.Records) == 0 {
		return portUnclear
	}
	for _, addr := range answer.Records[:min(len(answer.Records), maxAddresses)] {
		if c.Policies.WhyNot(addr) == "" && p.probe(ctx, reference, addr.Unmap()).stage > notConnected {
			return portOpen
		}
	}
	return portBlocked
}

// isDNS reports whether err says that the DNS gave no answer.
func isDNS(err error) bool {
	_, ok := errors.AsType[*dnsclient.Error](err)
	return ok
}
