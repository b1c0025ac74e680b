package dnsclient

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// serverSet is the servers in force, and which of them to ask first.
type serverSet struct {
	addrs []netip.AddrPort // at least one
	// trustAD: the administrator says that their AD bit can be believed.
	trustAD bool
	// preferred is the server that answered last. Beginning with it, a dead
	// first server costs its delay once instead of with every question.
	preferred atomic.Int64
}

func newServerSet(addrs []netip.AddrPort) *serverSet {
	return &serverSet{addrs: addrs}
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
			err = silence(f.timeout)
		}
		errs = append(errs, &serverError{f.addrs[i], err})
	}
	return errs
}
