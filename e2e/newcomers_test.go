package e2e

import (
	"errors"
	"fmt"
	"syscall"
	"testing"
	"time"
)

// newcomers are lookups of domains that are new to the program, without end.
// While the world is broken they may be found to have no policy.
type newcomers struct {
	stop  chan struct{}
	asked int
	found []string // the domains answered with their policy
	done  chan struct{}
}

func (s *scene) startNewcomers(t *testing.T) *newcomers {
	n := &newcomers{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(n.done)
		c := s.client()
		defer c.Close()
		again := time.NewTicker(20 * time.Millisecond)
		defer again.Stop()
		for ; ; n.asked++ {
			select {
			case <-again.C:
			case <-n.stop:
				return
			}
			domain := fmt.Sprintf("n%d.test", n.asked)
			s.open(domain)
			switch answer, err := c.Lookup(domain); {
			case errors.Is(err, syscall.ECONNREFUSED): // the fault restarts the daemon
			case err != nil:
				s.blame(t, "%s: %v", domain, err)
			case answer == secure(domain):
				n.found = append(n.found, domain)
			case answer != notKnown:
				s.blame(t, "%s: got %q", domain, answer)
			}
		}
	}()
	return n
}

// end stops the lookups.
func (n *newcomers) end() (asked int, found []string) {
	close(n.stop)
	<-n.done
	return n.asked, n.found
}
