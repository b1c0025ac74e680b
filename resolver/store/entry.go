package store

import (
	"slices"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// Entry is a policy and what must outlive the process to keep it current. Its
// times are wall-clock times in UTC and whole seconds, the zero Time for none:
// Fetched and Used are rounded down, those yet to come up, so that nothing is
// done before its time.
type Entry struct {
	Domain mtasts.Domain
	// ID is the policy id of the record seen before the fetch.
	ID     string
	Policy mtasts.Policy
	// Fetched is when the last successful fetch was; max_age counts from it.
	Fetched time.Time
	// Recheck is when the record is to be asked for again.
	Recheck time.Time
	// Used is when the domain was last looked up, as far as it was written down.
	Used time.Time
	// Next is when the entry next needs attention, its refresh or its removal;
	// zero for never. Due finds entries by it.
	Next time.Time

	// FailedID is the policy id whose fetch failed last, if it failed since
	// Fetched; Failures counts the failed refreshes in a row and RetryAt is
	// when the next attempt may be made.
	FailedID string
	Failures int
	RetryAt  time.Time

	// Verdicts are what DANE said of the domain's next hops.
	Verdicts []Verdict
}

// Verdict is what DANE said of a next hop of the entry's domain.
type Verdict struct {
	MX    bool   // the next hop was the domain, not the host of that name
	Port  uint16 // TCP
	Kind  uint8  // for package resolver to read
	Until time.Time
}

// normal returns e with its times as the file keeps them.
func (e Entry) normal() Entry {
	e.Fetched = floor(e.Fetched)
	e.Used = floor(e.Used)
	e.Recheck = ceil(e.Recheck)
	e.Next = ceil(e.Next)
	e.RetryAt = ceil(e.RetryAt)
	e.Verdicts = slices.Clone(e.Verdicts)
	for i := range e.Verdicts {
		e.Verdicts[i].Until = floor(e.Verdicts[i].Until)
	}
	return e
}

// due reports whether e needs attention at now.
func (e Entry) due(now time.Time) bool { return !e.Next.IsZero() && !e.Next.After(now) }

func floor(t time.Time) time.Time { return time.Unix(t.Unix(), 0).UTC() }

func ceil(t time.Time) time.Time {
	if t.Nanosecond() > 0 {
		t = t.Add(time.Second)
	}
	return floor(t)
}
