package policyhost

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"
)

const (
	// maxCrowd is how many connections to one network there are at once. Many
	// domains may name one policy host: those of a provider, which answers each
	// in milliseconds, and those of someone who would have us flood a stranger's
	// server.
	maxCrowd = 8

	// crowdPatience is how long a connection waits for others to the same
	// network: long enough for some hundred domains of a provider to take turns,
	// short enough that those who wait for a host that never answers make way
	// for other fetches.
	crowdPatience = 5 * time.Second

	// networkBits is the length of the IPv6 networks that count as one
	// place: what is commonly given to one customer (RFC 6177). Of IPv4, each
	// address is a place of its own.
	networkBits = 48
)

// ErrBusy means that an address of the policy host was not connected to, because
// too many fetches were at it. It says nothing of the host: try again later.
var ErrBusy = errors.New("too many fetches at this address at once")

// crowds keep the connections to each network to maxCrowd.
type crowds struct {
	patience time.Duration

	mu sync.Mutex
	at map[netip.Prefix]*crowd
}

func newCrowds() *crowds { return &crowds{patience: crowdPatience, at: map[netip.Prefix]*crowd{}} }

// crowd is the connections to one network.
type crowd struct {
	inside  chan struct{}
	members int // inside or waiting; guarded by the mutex of crowds
}

// join waits until there is room for a connection to addr; the error is ErrBusy
// where there is none in time. The function that it returns gives the room up
// and must be called once.
func (c *crowds) join(ctx context.Context, addr netip.Addr) (leave func(), err error) {
	network := networkOf(addr)
	here := c.member(network)
	timer := time.NewTimer(c.patience)
	defer timer.Stop()
	select {
	case here.inside <- struct{}{}:
		return func() {
			<-here.inside
			c.drop(network, here)
		}, nil
	case <-timer.C:
		err = ErrBusy
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	c.drop(network, here)
	return nil, err
}

// member counts one more member of the network's crowd.
func (c *crowds) member(network netip.Prefix) *crowd {
	c.mu.Lock()
	defer c.mu.Unlock()
	here := c.at[network]
	if here == nil {
		here = &crowd{inside: make(chan struct{}, maxCrowd)}
		c.at[network] = here
	}
	here.members++
	return here
}

// drop counts one member less.
func (c *crowds) drop(network netip.Prefix, here *crowd) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if here.members--; here.members == 0 {
		delete(c.at, network)
	}
}

// networkOf returns the network that addr is counted with; an IPv4 address is
// the same place however it is written.
func networkOf(addr netip.Addr) netip.Prefix {
	addr = withoutNAT64(addr.Unmap())
	bits := addr.BitLen()
	if addr.Is6() {
		bits = networkBits
	}
	network, _ := addr.Prefix(bits) // bits are never too many
	return network
}
