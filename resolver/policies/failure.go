package policies

import (
	"sync/atomic"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/refresh"
)

// Failure is why a domain has no usable policy, or why its live one cannot be
// refreshed. It never changes, except for lookups.
type Failure struct {
	// Word is the result in RFC 8460's words (section 4.3), such as
	// sts-webpki-invalid; empty if the fault is not the domain's: a refresh refused for
	// load, or this host's own network.
	Word string
	// Reason is one line for an operator. It is not saved, and so is empty after a
	// restart.
	Reason string
	// ID is the policy id whose fetch failed; empty if the record is at fault.
	ID string
	// Count is how many attempts for ID failed in a row; 1 also if Word is empty.
	Count int
	// ByClock is set if the policy host's certificate has expired or is not valid yet, so
	// that this host's wall clock may be at fault instead. It is not saved: after a restart
	// it is set for every failure from the policy file.
	ByClock bool
	// Since is when the failures began, Retry when the next attempt may be made.
	Since, Retry clock.Moment

	lookups atomic.Int64 // since Since, that went without a policy
}

// Lookups returns how many lookups went without a policy because of it.
func (f *Failure) Lookups() int64 { return f.lookups.Load() }

// again returns the failure after one more; f, the one before, may be nil.
func (f *Failure) again(word, reason, id string, now clock.Moment) *Failure {
	next := &Failure{Word: word, Reason: reason, ID: id, Count: 1, Since: now}
	if f != nil {
		next.lookups.Store(f.Lookups())
		if f.Since != 0 {
			next.Since = f.Since
		}
		if f.ID == id && f.Word != "" {
			next.Count = f.Count + 1
		}
	}
	next.Retry = now.Add(refresh.Backoff(next.Count))
	return next
}

// later returns f or other, whichever attempt was made later. Either may be nil.
func (f *Failure) later(other *Failure) *Failure {
	if f == nil || other != nil && other.Due(false) > f.Due(false) {
		return other
	}
	return f
}

// Due is from when on the policy may be fetched again for f's id, which RFC 8461
// section 3.3 bounds. Without a live policy mail goes out unprotected meanwhile, so
// no failure delays it longer than the first.
func (f *Failure) Due(live bool) clock.Moment {
	if live {
		return f.Retry
	}
	return f.Retry.Add(refresh.FirstRetry - refresh.Backoff(f.Count))
}
