package dnsclient

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"sync"
	"time"

	"mta-sts-daemon/resolver/event"
)

// Named is a recursive resolver that is known by a host name. The name is
// absolute; no search domains are tried.
type Named struct {
	Host string
	Port uint16
}

// lookUpEvery is how often the names are looked up at most.
const lookUpEvery = time.Second

// named looks the servers up that are known by their names. The nil named has
// none.
type named struct {
	servers []Named
	dns     *Client // follows resolv.conf(5)
	logger  *slog.Logger

	mu      sync.Mutex         // guards what follows
	known   [][]netip.AddrPort // by server
	fresh   bool               // known has changed since addrs was called
	err     error              // why a name has no address; nil if all have one
	began   time.Time          // when the last lookup began
	looking chan struct{}      // closed when the lookup under way ends; nil when idle
}

var errLookingUp = errors.New("no DNS server: the names of the configured ones are still being looked up")

// lookUpNamed begins to look the names up.
func lookUpNamed(o Options) *named {
	n := &named{
		servers: o.Named,
		dns:     New(Options{ResolvConf: o.ResolvConf, Timeout: o.Timeout}),
		logger:  o.Logger,
	}
	n.lookUpAgain()
	return n
}

// lookUpAgain begins to look the names up, unless that is under way or began a
// moment ago. Until it has found addresses of a name, those found last stay in use.
func (n *named) lookUpAgain() {
	if n == nil {
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.looking != nil || time.Since(n.began) < lookUpEvery {
		return
	}
	n.began = time.Now()
	n.looking = make(chan struct{})
	go n.lookUp()
}

// retry looks the names up again if one of them has no address.
func (n *named) retry() {
	if n == nil {
		return
	}
	n.mu.Lock()
	missing := n.err != nil
	n.mu.Unlock()
	if missing {
		n.lookUpAgain()
	}
}

func (n *named) lookUp() {
	found := make([][2]family, len(n.servers)) // IPv4, IPv6
	var errs []error
	for i, s := range n.servers {
		// The client's own limit applies to each name.
		four, six := n.dns.families(context.Background(), s.Host)
		answer, err := either(four, six)
		if err == nil && len(answer.Records) == 0 {
			err = fmt.Errorf("%s has no address", printable(s.Host))
		}
		if err != nil {
			errs = append(errs, err)
		}
		found[i] = [...]family{four, six}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	close(n.looking)
	n.looking = nil
	if len(errs) > 0 && n.err == nil {
		event.DNSServerNotFound.Log(n.logger, event.Reason(errors.Join(errs...)))
	}
	n.err = errors.Join(errs...)
	if n.known == nil {
		n.known = make([][]netip.AddrPort, len(n.servers))
	}
	for i, s := range n.servers {
		if addrs := s.addrs(found[i], n.known[i]); !slices.Equal(addrs, n.known[i]) {
			n.known[i], n.fresh = addrs, true
		}
	}
}

// addrs returns the addresses found. If the question for one family failed, those known of
// that family stay; if none was found, all of them.
func (s Named) addrs(found [2]family, known []netip.AddrPort) (addrs []netip.AddrPort) {
	if len(found[0].answer.Records)+len(found[1].answer.Records) == 0 {
		return known
	}
	for i, f := range found {
		for _, addr := range f.answer.Records {
			addrs = append(addrs, netip.AddrPortFrom(addr, s.Port))
		}
		for _, at := range known {
			if f.err != nil && at.Addr().Is4() == (i == 0) {
				addrs = append(addrs, at)
			}
		}
	}
	return addrs
}

// changed reports whether there are addresses that addrs has not returned yet.
func (n *named) changed() bool {
	if n == nil {
		return false
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fresh
}

// addrs returns the addresses found last.
func (n *named) addrs() []netip.AddrPort {
	if n == nil {
		return nil
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.fresh = false
	return slices.Concat(n.known...)
}

// await waits until an address is known. The error says why that failed.
func (n *named) await(ctx context.Context) error {
	n.lookUpAgain()
	n.mu.Lock()
	defer n.mu.Unlock()
	if looking := n.looking; looking != nil {
		n.mu.Unlock()
		select {
		case <-looking:
		case <-ctx.Done():
		}
		n.mu.Lock()
	}
	switch {
	case len(slices.Concat(n.known...)) > 0:
		return nil
	case n.err != nil:
		return fmt.Errorf("no DNS server: %w", n.err)
	}
	return context.Cause(ctx)
}
