package shared

import (
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// maxAhead is how far in the future something may have been written before the
// clock of its writer is held to be wrong, or its writer a stranger.
const maxAhead = 5 * time.Minute

// Entry is a policy as one node of the fleet fetched it. Its times are whole
// seconds.
type Entry struct {
	// ID is the policy id of the record seen before the fetch.
	ID     string
	Policy mtasts.Policy
	// Fetched is when the fetch was, at most 5 min ahead; max_age counts from
	// it.
	Fetched time.Time
	// Recheck is when the node was to ask for the record again. It is for the
	// reader to bound.
	Recheck time.Time
}

// Ends returns when the policy ends.
func (e Entry) Ends() time.Time { return e.Fetched.Add(e.Policy.MaxAge) }

// Value is what the fleet knows of a domain. The zero Value is nothing.
type Value struct {
	// Entry is the newest policy; nil for none. It had not ended when it was
	// read.
	Entry *Entry
	// Purged is when an operator last had the domain forgotten, zero for never.
	Purged time.Time
}

// Voids reports whether a policy fetched then is one that was to be forgotten.
// Within the second of the purge it is: to fetch once more is cheap.
func (v Value) Voids(fetched time.Time) bool { return !fetched.After(v.Purged) }

// Change is what a node tells the fleet, itself included: that it has fetched
// the domain's policy, or that the domain is to be forgotten.
type Change struct {
	// Domain is the zero Domain where every domain is to be forgotten.
	Domain mtasts.Domain
	// Value is of an Entry or Purged the one that it is about.
	Value Value
}
