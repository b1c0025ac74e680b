// Package dnsclient is a stub resolver: it asks recursive resolvers for the TXT,
// MX, address, CNAME and TLSA records of a domain.
//
// A question goes over UDP to the server that answered last. If it does not
// answer within a second or its reply is unusable, the other servers are asked
// too, and the first conclusive reply wins: records, or the proof that they do
// not exist (NOERROR or NXDOMAIN). Other replies, such as SERVFAIL, are failures.
// A truncated reply is asked for again over TCP, and a server that does not know
// EDNS without it.
//
// A UDP reply can be forged by anybody who guesses the port and the id of the
// question. So each question to a server elsewhere has a socket of its own with a
// random port, and replies with another id, question or sender are ignored (RFC
// 5452). Whether the AD bit of a reply counts as DNSSEC's authentication depends
// on the server; see Client.TrustsAD.
//
// The package caches nothing and has no search domains: every name is absolute,
// with or without its last dot.
package dnsclient

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"time"

	"github.com/miekg/dns"

	"mta-sts-daemon/resolver/internal/race"
)

const (
	defaultTimeout = 5 * time.Second
	// patience is how long a server may take before the next one is asked too.
	patience = time.Second
	// glance is how long the first wait for a reply takes, which ctx does not interrupt.
	// Callers do not notice so short a time. An interruptible wait costs a sixth more
	// time for each question and half as many allocations again.
	glance         = 100 * time.Millisecond
	triesPerServer = 2
)

// Options say which servers to ask and for how long. The zero value follows
// /etc/resolv.conf.
type Options struct {
	// Servers are recursive resolvers by address. If both Servers and Named are
	// empty, the client follows ResolvConf.
	Servers []netip.AddrPort
	// Named are recursive resolvers by host name, asked after Servers. Their addresses
	// are looked up through ResolvConf when the client is made, and again whenever no
	// server answers.
	Named []Named
	// ResolvConf is the path of a resolv.conf(5); "" is /etc/resolv.conf.
	ResolvConf string
	// TrustAD counts the AD bit of every server, as an administrator's
	// "options trust-ad" in ResolvConf does.
	TrustAD bool
	// Timeout limits one question in all, over every server, try and CNAME;
	// 0 is 5 seconds.
	Timeout time.Duration
	// Logger logs a resolv.conf that cannot be read and a server's name that
	// has no address; nil discards it.
	Logger *slog.Logger
	// Metrics count the questions; nil for none.
	Metrics *Metrics
}

// Client asks the DNS. It is safe for concurrent use.
type Client struct {
	timeout time.Duration
	servers servers
	metrics *Metrics
	sockets sockets
}

// New returns a Client. Nothing needs closing: idle sockets close by themselves.
func New(o Options) *Client {
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	if o.ResolvConf == "" {
		o.ResolvConf = defaultResolvConf
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Metrics == nil {
		o.Metrics = NewMetrics(nil)
	}
	c := &Client{timeout: o.Timeout, metrics: o.Metrics}
	c.servers.trustAD = o.TrustAD
	switch {
	case len(o.Named) > 0:
		c.servers.named = lookUpNamed(o)
		fallthrough
	case len(o.Servers) > 0:
		c.servers.fixed = o.Servers
	default:
		c.servers.conf = &resolvConf{path: o.ResolvConf, logger: o.Logger}
	}
	return c
}

// find asks for the records of name and qtype, along the chain of CNAME records
// if there is one. Its errors are *Error.
func (c *Client) find(ctx context.Context, name string, qtype uint16) (*finding, error) {
	deadline := time.Now().Add(c.timeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	f := newFinding(name)
	err := c.findAll(ctx, f, qtype, deadline)
	if errors.Is(err, rcodeError(dns.RcodeServerFailure)) {
		err = c.findByLinks(ctx, f, qtype, deadline, err)
	}
	switch {
	case err == nil:
		c.metrics.answered(qtype, f)
		return f, nil
	case ctx.Err() != nil:
		err = context.Cause(ctx) // the caller gave up; no server is to blame
	default:
		c.metrics.failed(qtype)
	}
	return nil, &Error{Name: name, Type: dns.TypeToString[qtype], Err: err}
}

// findAll asks for qtype until the finding is done.
func (c *Client) findAll(ctx context.Context, f *finding, qtype uint16, deadline time.Time) error {
	var err error
	for err == nil && !f.done {
		err = c.findMore(ctx, f, qtype, deadline)
	}
	return err
}

// findByLinks goes along the chain of CNAME records by itself and then asks for
// qtype again. Resolvers answer SERVFAIL if a chain is a loop or longer than they
// follow. Without a chain the error is failed.
func (c *Client) findByLinks(ctx context.Context, f *finding, qtype uint16, deadline time.Time, failed error) error {
	names := len(f.names)
	for {
		link := newFinding(f.end())
		if c.findMore(ctx, link, dns.TypeCNAME, deadline) != nil {
			return failed
		}
		if len(link.records) == 0 {
			break
		}
		if err := f.link(link); err != nil {
			return err
		}
	}
	if len(f.names) == names {
		return failed
	}
	return c.findAll(ctx, f, qtype, deadline)
}

// findMore asks for qtype at the end of the finding's chain.
func (c *Client) findMore(ctx context.Context, f *finding, qtype uint16, deadline time.Time) error {
	if SpecialUse(f.end()) {
		f.neverExists()
		return nil
	}
	q, err := newQuery(f.end(), qtype)
	if err != nil {
		return err
	}
	reply, counts, err := c.ask(ctx, q, deadline)
	if err != nil {
		return err
	}
	return f.add(reply, qtype, counts)
}

// ask puts one question to the servers, the one that answered last first, until
// one of them gives a conclusive reply. It reports whether that server's AD bit
// counts.
func (c *Client) ask(ctx context.Context, q query, deadline time.Time) (reply *dns.Msg, counts bool, err error) {
	now := time.Now()
	set := c.servers.inForce(now)
	if len(set.addrs) == 0 {
		limited, cancel := context.WithDeadlineCause(ctx, deadline, errLookingUp)
		defer cancel()
		if set, err = c.servers.await(limited); err != nil {
			return nil, false, err
		}
		now = time.Now()
	}
	first := set.first()
	stagger := min(patience, deadline.Sub(now)/time.Duration(len(set.addrs)+1))
	x := begin(ctx, &c.sockets, set.addrs[first], q)
	glanced := min(glance, stagger)
	if reply := x.glance(now.Add(glanced)); reply != nil {
		return reply, set.counts[first], nil
	}
	lead := stagger
	if x.asked != nil {
		lead -= glanced
	}
	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	return c.askOthers(limited, set, first, x, lead, stagger)
}

// askOthers asks the other servers too. x is the exchange begun with the first one,
// which has lead before the second one is asked.
func (c *Client) askOthers(ctx context.Context, set *serverSet, first int, x exchange, lead, stagger time.Duration) (*dns.Msg, bool, error) {
	type answer struct {
		reply  *dns.Msg
		server int
	}
	n := len(set.addrs)
	faults := newFaults(set.addrs, c.timeout)
	attempt := func(ctx context.Context, i int) (answer, error) {
		server, x := (first+i)%n, x
		if i > 0 {
			x = begin(ctx, &c.sockets, set.addrs[server], x.query)
		}
		reply, err := x.finish(ctx)
		if err != nil && ctx.Err() == nil {
			faults.note(server, err)
		}
		return answer{reply, server}, err
	}
	a, err := race.First(ctx, triesPerServer*n, lead, stagger, attempt, nil)
	if err != nil {
		fault := faults.err()
		if !errors.As(fault, new(rcodeError)) { // no server answered at all
			c.servers.named.lookUpAgain()
		}
		return nil, false, fault
	}
	set.prefer(a.server)
	return a.reply, set.counts[a.server], nil
}
