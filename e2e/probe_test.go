package e2e

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// probeLife is how many lookups one connection serves, as Postfix ends its
// processes after some messages: new ones must always get in.
const probeLife = 50

// question is a lookup with its only right answer.
type question struct{ key, want string }

// tally has the results of lookups.
type tally struct {
	took    []time.Duration // of those answered rightly
	refused int             // nobody listened
	lost    []string        // errors and other answers
}

func (l *tally) add(other tally) {
	l.took = append(l.took, other.took...)
	l.refused += other.refused
	l.lost = append(l.lost, other.lost...)
}

// quantile is the time that the part q of the answers, 0 to 1, did not exceed.
func (l tally) quantile(q float64) time.Duration {
	if len(l.took) == 0 {
		return 0
	}
	slices.Sort(l.took)
	return l.took[int(q*float64(len(l.took)-1))]
}

// times are three cells of a table: median, 99th percentile and the slowest.
func times(l tally) string {
	if len(l.took) == 0 {
		return "— | — | —"
	}
	var cells [3]string
	for i, q := range []float64{0.5, 0.99, 1} {
		cells[i] = fmt.Sprintf("%.1f ms", l.quantile(q).Seconds()*1000)
	}
	return strings.Join(cells[:], " | ")
}

// probes ask without end, each over connections of its own.
type probes struct {
	stop    chan struct{}
	running sync.WaitGroup

	mu    sync.Mutex // guards what follows
	tally tally
}

// startProbes has n clients at a time ask the daemon what next says, with a
// pause after each answer. next is called by all of them at once, with a number
// that only grows.
func startProbes(n int, pause time.Duration, next func(i int) question) *probes {
	return startProbesOf(func() *client { return &client{} }, n, pause, next)
}

// startProbesOf does so with clients of another program.
func startProbesOf(newClient func() *client, n int, pause time.Duration, next func(i int) question) *probes {
	p := &probes{stop: make(chan struct{})}
	for first := range n {
		p.running.Go(func() {
			again := time.NewTicker(pause)
			defer again.Stop()
			c := newClient()
			defer c.close()
			for i := first; ; i += n {
				if i/n%probeLife == probeLife-1 {
					c.close()
				}
				p.ask(c, next(i))
				select {
				case <-again.C:
				case <-p.stop:
					return
				}
			}
		})
	}
	return p
}

func (p *probes) ask(c *client, q question) {
	start := time.Now()
	answer, err := c.lookup(q.key)
	took := time.Since(start)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		p.tally.refused++
	case err != nil:
		p.tally.lost = append(p.tally.lost, fmt.Sprintf("%s: %v", q.key, err))
	case answer != q.want:
		p.tally.lost = append(p.tally.lost, fmt.Sprintf("%s: %q", q.key, answer))
	default:
		p.tally.took = append(p.tally.took, took)
	}
}

// take returns the results of lookups since its last call.
func (p *probes) take() tally {
	p.mu.Lock()
	defer p.mu.Unlock()
	taken := p.tally
	p.tally = tally{}
	return taken
}

// end stops the probes; it returns what take would.
func (p *probes) end() tally {
	close(p.stop)
	p.running.Wait()
	return p.take()
}
