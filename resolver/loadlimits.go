package resolver

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of the work that lookups cause at the same time. These are not rates: a flood costs
// sockets, memory and workers while they are in use, and an honest server comes in bursts
// too. One domain has one discovery at a time, and no other before its result has run out.
const (
	// maxRecords bounds the records that are asked for: as many questions as resolvers
	// accept by default. Each holds a handful of sockets, for dns.timeout at most.
	maxRecords = 1000

	// maxChecks bounds the next hops whose DANE is looked up. Each asks up to eight
	// questions in parallel.
	maxChecks = 250

	// maxFetches bounds the policies that are fetched. Each takes some 100 KiB, and a
	// slow host keeps it for fetch.timeout; an honest one for less than a second.
	maxFetches = 250

	// maxQueued bounds how many wait at one limit.
	maxQueued = 10_000
)

// errBusy means that something was not tried because too much is under way. It says
// nothing of the domain.
var errBusy = errors.New("too many discoveries at the same time")

// limits bound what lookups set off. A nil limit lets everything pass.
type limits struct{ records, fetches, checks *limit }

// loadLimits are the limits for domains of which nothing is known and, apart from them,
// for known ones: everybody whose mail this server sends can make up names without end,
// and known policies must be kept up to date meanwhile. Refreshes by schedule and by an
// operator have no limit here; the scheduler and the control socket bound them.
type loadLimits struct{ unknown, known limits }

func newLoadLimits() loadLimits {
	open := func() limits { return limits{newLimit(maxRecords), newLimit(maxFetches), newLimit(maxChecks)} }
	return loadLimits{unknown: open(), known: open()}
}

// of returns the limits of a discovery made for that reason.
func (l loadLimits) of(why reason) limits {
	switch why {
	case firstDiscovery:
		return l.unknown
	case recheck:
		return l.known
	}
	return limits{}
}

// limit is a semaphore with a bounded queue. The newest in the queue comes first: under load
// its lookup still waits, while those of older ones have been answered without it.
type limit struct {
	queued atomic.Int64 // len(queue)

	mu    sync.Mutex // guards what follows
	free  int
	queue []chan struct{} // closed to let its owner pass
}

func newLimit(size int) *limit { return &limit{free: size} }

// enter waits for its turn. After wait it calls stay and goes on waiting if that
// returns true. If enter returns nil, leave must be called; otherwise the error is errBusy
// or why ctx ended.
func (l *limit) enter(ctx context.Context, wait time.Duration, stay func() bool) error {
	if l == nil {
		return nil
	}
	turn, err := l.join()
	if turn == nil {
		return err
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		select {
		case <-turn:
			return nil
		case <-timer.C:
			if stay() {
				continue
			}
			err = errBusy
		case <-ctx.Done():
			err = context.Cause(ctx)
		}
		if l.quit(turn) {
			return err
		}
		return nil // its turn had just come
	}
}

// join passes, with a nil channel and a nil error, or queues.
func (l *limit) join() (turn chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.free > 0:
		l.free--
		return nil, nil
	case len(l.queue) == maxQueued:
		return nil, errBusy
	}
	turn = make(chan struct{})
	l.queue = append(l.queue, turn)
	l.queued.Store(int64(len(l.queue)))
	return turn, nil
}

// quit leaves the queue, and reports false if its turn has come already.
func (l *limit) quit(turn chan struct{}) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.queue, turn)
	if i < 0 {
		return false
	}
	l.queue = slices.Delete(l.queue, i, i+1)
	l.queued.Store(int64(len(l.queue)))
	return true
}

func (l *limit) leave() {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.queue) - 1
	if last < 0 {
		l.free++
		return
	}
	close(l.queue[last])
	l.queue = slices.Delete(l.queue, last, last+1)
	l.queued.Store(int64(last))
}

// congested reports whether somebody waits.
func (l *limit) congested() bool { return l != nil && l.queued.Load() > 0 }

// enter passes a limit. If it returns an outcome, the discovery was refused or the Resolver
// is closed; else leave must be called.
func (d *discovery) enter(l *limit) (leave func(), o *outcome) {
	err := l.enter(d.ctx, d.settings.AnswerTimeout, func() bool {
		d.putOff(errBusy, l.congested)
		return d.why == firstDiscovery
	})
	switch {
	case err == nil:
		return l.leave, nil
	case errors.Is(err, errBusy):
		return nil, &outcome{kind: refused, err: err, while: l.congested}
	}
	return nil, &outcome{kind: settled, err: errClosed}
}
