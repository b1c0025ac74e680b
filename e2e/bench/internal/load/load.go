// Package load asks a server as fast as it answers and tells how fast that was.
//
// A run is closed: each connection has a fixed number of lookups in flight and
// sends the next when a reply comes. All of it is one thread around epoll(7), so
// that it costs less than a server written in Go with the same connections and
// the server, on a processor of its own, is what limits the run.
package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/sys/unix"
)

// patience is how long a server may answer nothing at all.
const patience = 60 * time.Second

// Load is the load of a run: its keys, connections and duration.
type Load struct {
	Target
	Connections int
	// Pipeline is how many lookups each connection has in flight.
	Pipeline int
	// Reconnect has each lookup on a new connection; Pipeline must be 1.
	Reconnect bool
	Keys      Keys
	// Duration ends the run; without Keys.Once it must be set.
	Duration time.Duration
}

// Result is the result of a run.
type Result struct {
	Lookups                 int
	Found, NotFound, Failed int
	Took                    time.Duration
	Latency                 Histogram
}

// Rate is in lookups per second.
func (r *Result) Rate() float64 { return float64(r.Lookups) / r.Took.Seconds() }

// run is a Load under way.
type run struct {
	Load
	start   time.Time
	epoll   int
	conns   []*conn // by the number that epoll knows them by
	first   int     // key; a run does not repeat the keys of the run before
	asked   int
	stopped bool
	counts  [statuses]int
	latency Histogram
}

// Run does what l says.
func Run(l Load) (*Result, error) {
	if len(l.Keys.order) == 0 || l.Duration == 0 && !l.Keys.Once || l.Reconnect && l.Pipeline > 1 {
		return nil, errors.New("a load without keys or end, or that both pipelines and reconnects")
	}
	r := &run{Load: l}
	if !l.Keys.Once {
		r.first = rand.IntN(len(l.Keys.order))
	}
	var err error
	if r.epoll, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return nil, err
	}
	defer unix.Close(r.epoll)
	defer func() {
		for _, c := range r.conns {
			c.close()
		}
	}()
	r.start = time.Now()
	for i := range l.Connections {
		r.conns = append(r.conns, &conn{fd: closed})
		if err := r.open(i); err != nil {
			return nil, err
		}
	}
	if err := r.loop(); err != nil {
		return nil, err
	}
	result := &Result{Found: r.counts[found], NotFound: r.counts[notFound], Failed: r.counts[failed],
		Took: time.Since(r.start), Latency: r.latency}
	result.Lookups = result.Found + result.NotFound + result.Failed
	return result, nil
}

// loop handles replies until all lookups asked have theirs.
func (r *run) loop() error {
	events := make([]unix.EpollEvent, 64)
	for r.inFlight() {
		n, err := unix.EpollWait(r.epoll, events, int(patience.Milliseconds()))
		switch {
		case err == unix.EINTR:
			continue
		case err != nil:
			return err
		case n == 0:
			return fmt.Errorf("%s: no reply for %v", r.Address, patience)
		}
		for _, event := range events[:n] {
			if err := r.handle(int(event.Fd)); err != nil {
				return fmt.Errorf("%s: %w", r.Address, err)
			}
		}
	}
	return nil
}

func (r *run) inFlight() bool {
	done := 0
	for _, n := range r.counts {
		done += n
	}
	return done < r.asked
}

// handle reads the replies that have arrived on a connection and sends as many
// requests.
func (r *run) handle(i int) error {
	c := r.conns[i]
	if err := c.read(); err != nil {
		return err
	}
	now := time.Since(r.start)
	replies := 0
	for used := 0; ; replies++ {
		status, n, err := r.Protocol.next(c.in[used:])
		if err != nil {
			return err
		}
		if n == 0 {
			c.in = c.in[:copy(c.in, c.in[used:])]
			break
		}
		used += n
		r.counts[status]++
		r.latency.Add(now - c.answered())
	}
	r.stopped = r.stopped || r.Duration > 0 && now >= r.Duration
	if replies > 0 && r.Reconnect {
		c.close()
		return r.open(i)
	}
	return r.ask(c, replies)
}

// open connects and asks the first lookups.
func (r *run) open(i int) error {
	if !r.more() {
		return nil
	}
	c := r.conns[i]
	if err := c.dial(r.Target, r.Reconnect); err != nil {
		return err
	}
	event := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(i)}
	if err := unix.EpollCtl(r.epoll, unix.EPOLL_CTL_ADD, c.fd, &event); err != nil {
		return err
	}
	return r.ask(c, r.Pipeline)
}

func (r *run) more() bool {
	return !r.stopped && !(r.Keys.Once && r.asked == len(r.Keys.order))
}

// ask sends so many lookups in one write, or those that are left.
func (r *run) ask(c *conn, lookups int) error {
	for ; lookups > 0 && r.more(); lookups-- {
		c.key = r.Keys.Name(c.key[:0], r.Keys.order[(r.first+r.asked)%len(r.Keys.order)])
		c.out = r.Protocol.appendRequest(c.out, c.key)
		c.asked(time.Since(r.start))
		r.asked++
	}
	return c.write()
}
