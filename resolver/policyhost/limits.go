package policyhost

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// maxHandshakes is how many connections to one address are in the TCP or TLS
	// handshake at once. Handshakes cost a server most, and a domain that names a
	// server of others as its policy host can cause nothing else there.
	maxHandshakes = 8

	// maxConnections is how many connections to one address there are in all. Each
	// is for another domain, so only a host that serves very many slow ones
	// reaches it.
	maxConnections = 64

	// slowAfter is how long after the TCP connect a connection keeps its place
	// even if others wait for it. Most hosts have answered in a tenth of a second.
	slowAfter = 5 * time.Second

	// maxWait is how long a fetch waits for a place at an address: longer than
	// connectTimeout and slowAfter, so that the places of hosts that do not answer
	// become free in that time, and short enough that it does not hold up the
	// fetches that wait behind it.
	maxWait = 10 * time.Second

	// connectTimeout is how long a TCP connect may take, or half of the time limit
	// of the fetch if that is less. Linux repeats the SYN after 1, 3 and 7 s.
	connectTimeout = 8 * time.Second

	// An address whose TCP connect went unanswered silentAfter times in a row, for
	// two domains at least, is silent: it is tried once each silentRetry. At most
	// maxUnanswered addresses are remembered.
	silentAfter   = 3
	silentRetry   = time.Minute
	maxUnanswered = 4096

	// An IPv6 network of networkBits, commonly given to one customer (RFC 6177),
	// in which maxNetworkHandshakes are under way gets one at a time of each domain.
	// IPv4 has no such limit: addresses there are scarce.
	networkBits          = 48
	maxNetworkHandshakes = 64
)

// errBusyHere is the error for one address. The fetch fails with ErrBusy only if
// no other address makes it fail with another Fault.
var errBusyHere = errors.New("too many fetches at this address at once")

// ErrBusy means that the fetch was refused for load on this side: too many other
// fetches were using every address of the policy host that could be tried. It
// says nothing of the host. A FetchError wraps it if and only if its Fault is
// FaultLoad; try again later.
var ErrBusy = errors.New("too many fetches at once")

// errSilent is why an address is not tried.
var errSilent = fmt.Errorf("not tried: its last TCP connects went unanswered, for more than one domain; it is tried once in %v", silentRetry)

// errTooSlow is why a connection was closed in favour of another domain's fetch.
var errTooSlow = fmt.Errorf("not done within %v of the TCP connect, and fetches for other domains waited for the place", slowAfter)

// limits bounds what fetches do at each address of policy hosts. A policy host may
// serve any number of domains, and a domain may name any server as its policy
// host. So no address gets more than a few connections, and the domains of an
// address share them such that slow ones keep no other out.
//
// A connection passes these states, and leaves from any of them:
//
//	enter      waits for a place at the address
//	connecting in the TCP handshake; ends by itself after connectTimeout
//	securing   in the TLS handshake           } closed after slowAfter
//	fetching   waits for the response         } if another domain waits
type limits struct {
	mu         sync.Mutex // guards all that follows, and every place
	addresses  map[netip.Addr]*address
	networks   map[netip.Prefix]*ipv6Network
	unanswered *simplelru.LRU[netip.Addr, *unanswered]
}

// address is an address to which there are connections.
type address struct {
	places     map[mtasts.Domain]*place
	handshakes int           // places in state connecting or securing
	changed    chan struct{} // closed when a place or a handshake becomes free
}

// ipv6Network is a network in which handshakes are under way.
type ipv6Network struct {
	handshakes map[mtasts.Domain]int // never 0
	total      int                   // their sum
	changed    chan struct{}         // closed when one has ended
}

// unanswered counts the TCP connects to one address that went unanswered, since
// the last one that was answered.
type unanswered struct {
	count int
	first mtasts.Domain // for which the first was made
	other bool          // one was made for another domain
	retry time.Time     // when a silent address is tried again
}

func (u *unanswered) silent() bool { return u.count >= silentAfter && u.other }

// place is the right to one connection to an address, for one domain.
type place struct {
	limits    *limits
	addr      netip.Addr
	domain    mtasts.Domain
	handshake bool      // it counts among the handshakes
	left      bool      // it counts nowhere any more
	conn      net.Conn  // nil in state connecting
	answered  time.Time // when conn was made
	tooSlow   bool      // conn was closed in favour of another domain
}

func newLimits() *limits {
	unanswered, err := simplelru.NewLRU[netip.Addr, *unanswered](maxUnanswered, nil)
	if err != nil {
		panic(err) // only for a size that is not positive
	}
	return &limits{
		addresses:  map[netip.Addr]*address{},
		networks:   map[netip.Prefix]*ipv6Network{},
		unanswered: unanswered,
	}
}

// enter waits until d may connect to addr. The place that it returns has to be
// left. The error is errSilent, a *faultError with FaultLoad if no place became
// free within maxWait, or the cause of ctx.
func (l *limits) enter(ctx context.Context, d mtasts.Domain, addr netip.Addr) (*place, error) {
	p, why, err := l.tryEnter(d, addr)
	if p != nil || err != nil {
		return p, err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, maxWait, &faultError{FaultLoad, errBusyHere})
	defer cancel()
	for p == nil && err == nil {
		why.wait(ctx)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p, why, err = l.tryEnter(d, addr)
	}
	return p, err
}

// obstacle keeps a fetch from entering, until it changes.
type obstacle struct {
	changed <-chan struct{}
	until   time.Time // when the slowest connection is slow; zero if none can become so
}

// wait returns when it is worth trying again, or when ctx ends.
func (o obstacle) wait(ctx context.Context) {
	if !o.until.IsZero() {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, o.until)
		defer cancel()
	}
	select {
	case <-o.changed:
	case <-ctx.Done():
	}
}

// tryEnter returns a place, an obstacle or an error. It closes the slowest
// connection to addr if that makes the place.
func (l *limits) tryEnter(d mtasts.Domain, addr netip.Addr) (*place, obstacle, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	silent, known := l.unanswered.Get(addr)
	if known && silent.silent() && now.Before(silent.retry) {
		return nil, obstacle{}, errSilent
	}
	if n := l.networks[networkOf(addr)]; n != nil && n.total >= maxNetworkHandshakes && n.handshakes[d] > 0 {
		return nil, obstacle{changed: n.changed}, nil
	}
	if a := l.addresses[addr]; a != nil {
		if a.places[d] != nil {
			return nil, obstacle{changed: a.changed}, nil
		}
		if full, among := a.full(); full {
			slowest := a.slowest(among)
			switch {
			case slowest == nil:
				return nil, obstacle{changed: a.changed}, nil
			case now.Before(slowest.answered.Add(slowAfter)):
				return nil, obstacle{a.changed, slowest.answered.Add(slowAfter)}, nil
			}
			slowest.tooSlow = true
			slowest.conn.Close()
			l.remove(slowest)
		}
	}
	if known {
		silent.retry = now.Add(silentRetry) // this is the one try
	}
	return l.add(d, addr), obstacle{}, nil
}

// full returns whether the address takes no further connection, and whether only
// one in a handshake would make room for it.
func (a *address) full() (full, handshake bool) {
	switch {
	case a.handshakes >= maxHandshakes:
		return true, true
	case len(a.places) >= maxConnections:
		return true, false
	}
	return false, false
}

// slowest returns the connection whose TCP connect was answered first, among all
// or among those in a handshake; nil if no connect was answered.
func (a *address) slowest(handshake bool) (slowest *place) {
	for _, p := range a.places {
		if p.conn == nil || handshake && !p.handshake {
			continue
		}
		if slowest == nil || p.answered.Before(slowest.answered) {
			slowest = p
		}
	}
	return slowest
}

// networkOf returns the network whose limit counts for addr; the zero Prefix, for
// which nothing is counted, if addr is IPv4 or leads to IPv4.
func networkOf(addr netip.Addr) netip.Prefix {
	if addr.Is4() || nat64.Contains(addr) {
		return netip.Prefix{}
	}
	network, _ := addr.Prefix(networkBits) // an IPv6 address has as many bits
	return network
}

func (l *limits) add(d mtasts.Domain, addr netip.Addr) *place {
	p := &place{limits: l, addr: addr, domain: d, handshake: true}
	a := l.addresses[addr]
	if a == nil {
		a = &address{places: map[mtasts.Domain]*place{}, changed: make(chan struct{})}
		l.addresses[addr] = a
	}
	a.places[d] = p
	a.handshakes++
	if network := networkOf(addr); network.IsValid() {
		n := l.networks[network]
		if n == nil {
			n = &ipv6Network{handshakes: map[mtasts.Domain]int{}, changed: make(chan struct{})}
			l.networks[network] = n
		}
		n.handshakes[d]++
		n.total++
	}
	return p
}

// remove makes the place of p free, unless it is already.
func (l *limits) remove(p *place) {
	if p.left {
		return
	}
	p.left = true
	l.endHandshake(p)
	a := l.addresses[p.addr]
	delete(a.places, p.domain)
	if len(a.places) == 0 {
		delete(l.addresses, p.addr)
	}
	wake(&a.changed)
}

// endHandshake counts p among the handshakes no more.
func (l *limits) endHandshake(p *place) {
	if !p.handshake {
		return
	}
	p.handshake = false
	a := l.addresses[p.addr]
	a.handshakes--
	wake(&a.changed)
	network := networkOf(p.addr)
	n := l.networks[network]
	if n == nil {
		return
	}
	n.total--
	if n.handshakes[p.domain]--; n.handshakes[p.domain] == 0 {
		delete(n.handshakes, p.domain)
	}
	if n.total == 0 {
		delete(l.networks, network)
	}
	wake(&n.changed)
}

func wake(changed *chan struct{}) {
	close(*changed)
	*changed = make(chan struct{})
}

// connected notes that the address answered the TCP connect. From now on conn may
// be closed in favour of another domain's.
func (p *place) connected(conn net.Conn) {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	p.conn, p.answered = conn, time.Now()
	p.limits.unanswered.Remove(p.addr)
}

// refused notes that the address answered the TCP connect, but not by a
// connection.
func (p *place) refused() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	p.limits.unanswered.Remove(p.addr)
}

// unanswered notes that the TCP connect took longer than connectTimeout.
func (p *place) unanswered() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	u, known := p.limits.unanswered.Get(p.addr)
	if !known {
		u = &unanswered{first: p.domain}
		p.limits.unanswered.Add(p.addr, u)
	}
	u.count++
	u.other = u.other || u.first != p.domain
	u.retry = time.Now().Add(silentRetry)
}

// established notes that the handshakes are over.
func (p *place) established() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	p.limits.endHandshake(p)
}

// leave makes the place free. The connection must be closed by then.
func (p *place) leave() {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	p.limits.remove(p)
}

// orTooSlow returns errTooSlow if err comes from closing the connection in favour
// of another domain's, else err.
func (p *place) orTooSlow(err error) error {
	p.limits.mu.Lock()
	defer p.limits.mu.Unlock()
	if p.tooSlow {
		return errTooSlow
	}
	return err
}
