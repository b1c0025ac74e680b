package dnsclient

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// checkEvery is how often the client checks, at most, whether the servers or this
// host's own addresses have changed.
const checkEvery = 3 * time.Second

// servers are the servers of a Client: those of resolv.conf(5), or those that
// the options name.
type servers struct {
	conf    *resolvConf      // nil if the options name servers
	fixed   []netip.AddrPort // by address
	named   *named           // by host name; may be nil
	trustAD bool             // the AD bit of every server counts

	mu      sync.Mutex // guards what follows
	checked time.Time  // when current was last brought up to date
	current *serverSet
}

// inForce returns the set to ask. It is the same one until something changes, so
// that it keeps the server that it prefers. Which servers there are and whose AD
// bit counts change together, and no later than checkEvery after the change.
func (s *servers) inForce(now time.Time) *serverSet {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil && now.Sub(s.checked) < checkEvery && !s.named.changed() {
		return s.current
	}
	s.checked = now
	s.named.retry()
	addrs, trustAD := s.fixed, s.trustAD
	if s.conf != nil {
		var vouched bool
		addrs, vouched = s.conf.servers()
		trustAD = trustAD || vouched
	}
	addrs = slices.Concat(addrs, s.named.addrs())
	if next := newServerSet(addrs, trustAD); s.current == nil || !next.equal(s.current) {
		s.current = next
	}
	return s.current
}

// await returns the set to ask once the servers that are known by name alone have
// been looked up.
func (s *servers) await(ctx context.Context) (*serverSet, error) {
	if err := s.named.await(ctx); err != nil {
		return nil, err
	}
	return s.inForce(time.Now()), nil
}

// serverSet is the servers in force, and which of them to ask first.
type serverSet struct {
	addrs []netip.AddrPort
	// counts says of each server whether its AD bit counts.
	counts []bool
	// preferred is the server that answered last. Beginning with it, a dead
	// first server costs its delay once instead of with every question.
	preferred atomic.Int64
}

func newServerSet(addrs []netip.AddrPort, trustAD bool) *serverSet {
	set := &serverSet{addrs: addrs, counts: make([]bool, len(addrs))}
	for i, addr := range addrs {
		set.counts[i] = trustAD || onThisHost(addr.Addr())
	}
	return set
}

func (s *serverSet) equal(other *serverSet) bool {
	return slices.Equal(s.addrs, other.addrs) && slices.Equal(s.counts, other.counts)
}

func (s *serverSet) first() int { return int(s.preferred.Load()) }

func (s *serverSet) prefer(server int) { s.preferred.Store(int64(server)) }

// faults collects why the servers gave no answer to one question.
type faults struct {
	addrs   []netip.AddrPort
	timeout time.Duration

	mu   sync.Mutex
	last []error // by server
}

func newFaults(addrs []netip.AddrPort, timeout time.Duration) *faults {
	return &faults{addrs: addrs, timeout: timeout, last: make([]error, len(addrs))}
}

func (f *faults) note(server int, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[server] = err
}

func (f *faults) err() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var errs serverErrors
	for i, err := range f.last {
		if err == nil {
			err = timeoutError(f.timeout)
		}
		errs = append(errs, &serverError{f.addrs[i], err})
	}
	return errs
}
