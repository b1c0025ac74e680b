package e2e

import (
	"fmt"
	"sync"
	"time"
)

// sharedLoad is lookups at every node: of domains that are known there and, one
// node after the other, of some that no node knows.
type sharedLoad struct {
	stop    chan struct{}
	running sync.WaitGroup
	opened  []string // that were new

	mu         sync.Mutex // guards what follows
	known, new tally
}

const (
	knownPause = 5 * time.Millisecond
	newPause   = 20 * time.Millisecond
)

func (m *mailers) startLoad() *sharedLoad {
	l := &sharedLoad{stop: make(chan struct{})}
	for _, n := range m.nodes {
		l.running.Go(func() {
			c := &client{addr: n.addr}
			defer c.close()
			l.every(knownPause, func(i int) { l.ask(c, m.known[i%len(m.known)], &l.known) })
		})
	}
	l.running.Go(func() {
		var clients []*client
		for _, n := range m.nodes {
			c := &client{addr: n.addr}
			defer c.close()
			clients = append(clients, c)
		}
		l.every(newPause, func(i int) {
			if i%len(clients) == 0 {
				l.opened = append(l.opened, m.openNext())
			}
			l.ask(clients[i%len(clients)], l.opened[len(l.opened)-1], &l.new)
		})
	})
	return l
}

func (l *sharedLoad) every(pause time.Duration, do func(i int)) {
	again := time.NewTicker(pause)
	defer again.Stop()
	for i := 0; ; i++ {
		do(i)
		select {
		case <-again.C:
		case <-l.stop:
			return
		}
	}
}

func (l *sharedLoad) ask(c *client, domain string, into *tally) {
	start := time.Now()
	answer, err := c.lookup(domain)
	took := time.Since(start)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil || answer != secure(domain) {
		into.lost = append(into.lost, fmt.Sprintf("%s at %s: %q, %v", domain, c.addr, answer, err))
		return
	}
	into.took = append(into.took, took)
}

func (l *sharedLoad) end() {
	close(l.stop)
	l.running.Wait()
}
