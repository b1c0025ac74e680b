package mapclient

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Question is a lookup with the only right answer.
type Question struct{ Key, Want string }

// Tally has the results of lookups.
type Tally struct {
	Took    []time.Duration // of those with the right answer
	Retried int             // took a second connection
	Refused int             // nobody listened
	Lost    []string        // errors and other answers
}

// Add adds the results in other.
func (l *Tally) Add(other Tally) {
	l.Took = append(l.Took, other.Took...)
	l.Retried += other.Retried
	l.Refused += other.Refused
	l.Lost = append(l.Lost, other.Lost...)
}

// Quantile returns the time that the part q of the answers, 0 to 1, did not exceed.
func (l Tally) Quantile(q float64) time.Duration {
	if len(l.Took) == 0 {
		return 0
	}
	slices.Sort(l.Took)
	return l.Took[int(q*float64(len(l.Took)-1))]
}

// Ask returns the result of one lookup.
func (c *Client) Ask(q Question) (l Tally) {
	start, before := time.Now(), c.Retried
	answer, err := c.Lookup(q.Key)
	took := time.Since(start)
	l.Retried = c.Retried - before
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		l.Refused = 1
	case err != nil:
		l.Lost = []string{fmt.Sprintf("%s at %s: %v", q.Key, c.Address, err)}
	case answer != q.Want:
		l.Lost = []string{fmt.Sprintf("%s at %s: %q", q.Key, c.Address, answer)}
	default:
		l.Took = []time.Duration{took}
	}
	return l
}

// Load is clients that ask without end.
type Load struct {
	stop     chan struct{}
	answered chan struct{}
	running  sync.WaitGroup

	mu    sync.Mutex // guards what follows
	tally Tally
}

// Start has n clients ask what next returns, with a pause after each answer. All of them call
// next, concurrently, with numbers that only grow.
func Start(n int, pause time.Duration, newClient func() *Client, next func(i int) Question) *Load {
	l := &Load{stop: make(chan struct{}), answered: make(chan struct{})}
	for first := range n {
		l.running.Go(func() {
			again := time.NewTicker(pause)
			defer again.Stop()
			c := newClient()
			defer c.Close()
			for i := first; ; i += n {
				one := c.Ask(next(i))
				l.mu.Lock()
				l.tally.Add(one)
				l.mu.Unlock()
				var answered chan<- struct{}
				if len(one.Took) > 0 {
					answered = l.answered
				}
				select {
				case answered <- struct{}{}:
				case <-again.C:
				case <-l.stop:
					return
				}
			}
		})
	}
	return l
}

// Await waits for n more right answers, during which the clients do not pause.
func (l *Load) Await(n int) error {
	tooLong := time.After(defaultTimeout)
	for i := range n {
		select {
		case <-l.answered:
		case <-tooLong:
			return fmt.Errorf("%d right answers within %v, want %d", i, defaultTimeout, n)
		}
	}
	return nil
}

// Take returns the results since its last call.
func (l *Load) Take() Tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	taken := l.tally
	l.tally = Tally{}
	return taken
}

// End stops the clients; it returns what Take would.
func (l *Load) End() Tally {
	close(l.stop)
	l.running.Wait()
	return l.Take()
}
