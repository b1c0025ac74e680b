package e2e

import (
	"sync"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/mapclient"
)

// sharedLoad is lookups at every node: of domains that are known there and, one
// node after the other, of some that no node knows.
type sharedLoad struct {
	atNodes    []*mapclient.Load // of known domains
	stop       chan struct{}
	running    sync.WaitGroup
	opened     []string        // that were new
	known, new mapclient.Tally // complete after end
}

const (
	knownPause = 5 * time.Millisecond
	newPause   = 20 * time.Millisecond
)

func (m *mailers) startLoad() *sharedLoad {
	l := &sharedLoad{stop: make(chan struct{})}
	var clients []*mapclient.Client // for new domains
	for _, n := range m.nodes {
		newClient := func() *mapclient.Client { return &mapclient.Client{Address: n.Address} }
		clients = append(clients, newClient())
		l.atNodes = append(l.atNodes, mapclient.Start(1, knownPause, newClient, func(i int) mapclient.Question { return questionOf(m.known[i%len(m.known)]) }))
	}
	l.running.Go(func() {
		again := time.NewTicker(newPause)
		defer again.Stop()
		for i := 0; ; i++ {
			if i%len(clients) == 0 {
				l.opened = append(l.opened, m.openNext())
			}
			l.new.Add(clients[i%len(clients)].Ask(questionOf(l.opened[len(l.opened)-1])))
			select {
			case <-again.C:
			case <-l.stop:
				for _, c := range clients {
					c.Close()
				}
				return
			}
		}
	})
	return l
}

// end stops the lookups. Nodes run all the time, so refused connections are lost lookups.
func (l *sharedLoad) end(t *testing.T) {
	t.Helper()
	close(l.stop)
	l.running.Wait()
	for _, load := range l.atNodes {
		l.known.Add(load.End())
	}
	if n := l.known.Refused + l.new.Refused; n > 0 {
		t.Errorf("%d connections were refused", n)
	}
}
