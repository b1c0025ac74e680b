package resolver

import (
	"context"
	"time"

	"mta-sts-daemon/resolver/refresh"
)

// postponed is how much later a refresh comes that found no worker.
const postponed = time.Minute

// dueInStore is the queue of policies that are due, to refresh or to remove.
type dueInStore struct{ *Resolver }

// Due implements refresh.Queue.
func (r dueInStore) Due(limit int) []refresh.Job {
	var jobs []refresh.Job
	for _, s := range r.cache.store.Due(r.clock.time(r.clock.now()), limit) {
		jobs = append(jobs, refresh.Job{Domain: s.Domain, Failing: s.Failures > 0})
	}
	return jobs
}

// Do implements refresh.Queue. It fetches the policy of a domain in use again,
// leaves one out of use alone until it is asked for, and removes one that
// expired long ago.
func (r dueInStore) Do(ctx context.Context, job refresh.Job) {
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
func (r dueInStore) Postpone(job refresh.Job) {
	now := r.clock.now()
	if e := r.cache.known(job.Domain, now); e != nil {
		e.refresh.set(now.add(postponed))
		r.cache.update(job.Domain, e)
	}
}
