package publish

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
)

// smtpPort is where MX hosts take mail (RFC 5321 section 4.5.4.2).
const smtpPort = 25

// prober talks to mail servers: to each host once however many domains it serves, and
// to each address one connection at a time.
type prober struct {
	port func(host string) uint16
	talk func(ctx context.Context, host string, at netip.AddrPort) session // talk, or a test's

	answered atomic.Bool // a mail server has accepted a connection, so port 25 is open here

	mu       sync.Mutex             // guards what follows
	busy     map[string]*sync.Mutex // by host and by address, held while there is a connection
	sessions map[probe]*session
}

// probe identifies a session.
type probe struct {
	host string
	addr netip.Addr
}

func newProber(port func(host string) uint16) *prober {
	if port == nil {
		port = func(string) uint16 { return smtpPort }
	}
	return &prober{port: port, talk: talk, busy: make(map[string]*sync.Mutex), sessions: make(map[probe]*session)}
}

// probe returns what host does at addr.
func (p *prober) probe(ctx context.Context, host string, addr netip.Addr) session {
	defer p.occupy(host)()
	defer p.occupy(addr.String())() // always after a host's, so that nobody waits in a circle
	p.mu.Lock()
	known := p.sessions[probe{host, addr}]
	p.mu.Unlock()
	if known != nil {
		return *known
	}
	s := p.talk(ctx, host, netip.AddrPortFrom(addr, p.port(host)))
	if s.stage > notConnected {
		p.answered.Store(true)
	}
	p.mu.Lock()
	p.sessions[probe{host, addr}] = &s
	p.mu.Unlock()
	return s
}

// occupy waits until no other connection to a host or address is open.
func (p *prober) occupy(what string) (release func()) {
	p.mu.Lock()
	busy := p.busy[what]
	if busy == nil {
		busy = new(sync.Mutex)
		p.busy[what] = busy
	}
	p.mu.Unlock()
	busy.Lock()
	return busy.Unlock
}

// unroutable reports whether a connection failed because this host has no route or
// address of that family: most often it has no IPv6.
func unroutable(err error) bool {
	for _, local := range []error{syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EADDRNOTAVAIL, syscall.EAFNOSUPPORT} {
		if errors.Is(err, local) {
			return true
		}
	}
	return false
}
