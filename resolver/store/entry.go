package store

import (
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
)

// Entry is a policy and what must outlive the process to keep it current. Its
// Moments are since this boot; 0, or clock.Never, means "not set", which is read as
// 0. The file has them in whole seconds: Recheck, Next and RetryAt are rounded up, so
// that nothing is done before its time, the others down.
type Entry struct {
	Domain mtasts.Domain
	// ID is the policy id of the record seen before the fetch.
	ID     string
	Policy mtasts.Policy
	// Fetched is when the last successful fetch was; max_age counts from it.
	Fetched Fetched
	// Recheck is when the record is to be asked for again.
	Recheck clock.Moment
	// Used is when the domain was last looked up, as far as that was saved.
	Used clock.Moment
	// Next is when the entry next needs attention: its refresh or its removal. Due
	// finds entries by it.
	Next clock.Moment

	// FailedID is the policy id whose fetch failed last, if it failed since
	// Fetched, and FailedWord RFC 8460's result type of that failure, at most
	// maxWord bytes.
	FailedID   string
	FailedWord string
	// Failures counts the failed refreshes in a row, since FailingSince. RetryAt
	// is when the next attempt may be made.
	Failures     int
	RetryAt      clock.Moment
	FailingSince clock.Moment

	// RecordGone is since when the domain of this live policy has no record.
	RecordGone clock.Moment
	// Refused is since when refreshes are refused for load, Leased since when another
	// node has the lease.
	Refused, Leased clock.Moment
	// Mismatch is since when no MX host matches the enforced policy.
	Mismatch clock.Moment
	// Unjudged says that Mismatch is of the policy before, which had other patterns.
	Unjudged bool
	// ToMX says that the domain was looked up for mail to its MX hosts.
	ToMX bool
	// Ended says that the policy's end without a successor has been reported.
	Ended bool
	// FollowUps is how many fetches are still to come because the id changed and
	// the text did not.
	FollowUps int
	// Purges is the number of the last purge that was known when the policy was
	// fetched. PurgeAll voids entries by it.
	Purges uint64

	// Verdicts are what DANE said of the domain's next hops.
	Verdicts []Verdict
}

// Verdict is what DANE said of a next hop of the entry's domain.
type Verdict struct {
	MX    bool   // the next hop was the domain, not the host of that name
	Port  uint16 // TCP
	Kind  uint8  // its meaning is the caller's
	Until clock.Moment
}

// Fetched is when a policy was fetched.
type Fetched struct {
	// Wall is by the wall clock, in whole seconds and UTC. After a step of the
	// clock it is corrected if the policy was fetched in this boot.
	Wall time.Time
	// Original is when the fetch began, by the wall clock then. It tells a copy in the shared
	// store from another fetch. Zero stands for Wall.
	Original time.Time
	// At is the Moment of the fetch if ThisBoot is set.
	At clock.Moment
	// ThisBoot says that the policy was fetched in this boot by this host: At
	// counts, and the wall clock does not matter.
	ThisBoot bool
}

// Moment returns At, or Wall as o judges it.
func (f Fetched) Moment(o clock.Origin) clock.Moment {
	if f.ThisBoot {
		return f.At
	}
	return o.Moment(f.Wall)
}

// Equal reports whether both are the same fetch.
func (f Fetched) Equal(g Fetched) bool {
	if f.ThisBoot && g.ThisBoot {
		return f.At/clock.Moment(time.Second) == g.At/clock.Moment(time.Second) // as the file has it
	}
	return f.Wall.Unix() == g.Wall.Unix()
}

// maxWord is the longest FailedWord that is kept, in bytes.
const maxWord = 64

// due reports whether e needs attention at now, in that queue.
func (e *Entry) due(now clock.Moment, failing bool) bool {
	return e.Next != 0 && e.Next <= now && e.Failures > 0 == failing
}

// timeField is a time of an Entry and how the file has it.
type timeField struct {
	tag byte
	at  *clock.Moment
	up  bool // rounded up to whole seconds
}

// times lists the times of e that the file has as wall times in fields of their
// own.
func (e *Entry) times() [9]timeField {
	return [...]timeField{
		{tagRecheck, &e.Recheck, true},
		{tagUsed, &e.Used, false},
		{tagNext, &e.Next, true},
		{tagRetryAt, &e.RetryAt, true},
		{tagFailingSince, &e.FailingSince, false},
		{tagRecordGone, &e.RecordGone, false},
		{tagMismatch, &e.Mismatch, false},
		{tagRefused, &e.Refused, false},
		{tagLeased, &e.Leased, false},
	}
}
