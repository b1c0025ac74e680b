package resolver

import (
	"context"
	"time"

	"mta-sts-daemon/resolver/refresh"
)

const (
	// postponed is how much later a refresh comes that found no worker.
	postponed = time.Minute
	// clockStep is by how much the wall clock is set where that matters.
	clockStep = time.Minute
)

// dueInStore is the queue of policies that are due, to refresh or to remove.
type dueInStore struct {
	*Resolver
	began time.Time // the wall time when moments began, by the wall clock as it was last seen
}

// Due implements refresh.Queue.
func (r *dueInStore) Due(limit int) []refresh.Job {
	r.followClock()
	var jobs []refresh.Job
	for _, s := range r.cache.store.Due(r.clock.time(r.clock.now()), limit) {
		jobs = append(jobs, refresh.Job{Domain: s.Domain, Failing: s.Failures > 0})
	}
	return jobs
}

// followClock has what memory knows written down anew once the wall clock has been
// set: the store's times are by the clock before, and would be due early or late.
func (r *dueInStore) followClock() {
	if began := r.clock.time(0); began.Sub(r.began).Abs() > clockStep {
		r.began = began
		r.cache.rewrite()
	}
}

// Do implements refresh.Queue. It fetches the policy of a domain in use again,
// leaves one out of use alone until it is asked for, and removes one that
// expired long ago.
func (r *dueInStore) Do(ctx context.Context, job refresh.Job) {
	now := r.clock.now()
	e := r.cache.known(job.Domain, now)
	switch {
	case e == nil: // forgotten meanwhile
	case now >= e.expires.add(keepExpired):
		r.cache.forget(job.Domain, e.fetched.Equal)
	case now < e.expires && e.next(now, r.cache.idle()) <= now:
		select {
		case <-r.fly(job.Domain, renewal, Answer{}):
		case <-ctx.Done():
		}
	default:
		r.cache.update(job.Domain, e)
	}
}

// Postpone implements refresh.Queue.
func (r *dueInStore) Postpone(job refresh.Job) {
	now := r.clock.now()
	if e := r.cache.known(job.Domain, now); e != nil {
		e.refresh.set(now.add(postponed))
		r.cache.update(job.Domain, e)
	}
}
