package shared

import (
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// MaxAhead is how far in the future a value may have been written. Beyond it the
// clock of its writer was wrong, or it was not written by a node.
const MaxAhead = 5 * time.Minute

// noNumber is in place of the number of a purge that applies by its time.
const noNumber = 0

// Entry is a policy that one node has fetched. Its times are whole seconds.
type Entry struct {
	// ID is the policy id of the record seen before the fetch.
	ID     string
	Policy mtasts.Policy
	// Fetched is when the fetch began, at most 5 min ahead; max_age counts from
	// it.
	Fetched time.Time
	// Recheck is when the node was to ask for the record again. The reader has
	// to bound it.
	Recheck time.Time
	// Purges is the number of the last purge that the node knew of when it began
	// the fetch; 0 for none, and for a node of a version without numbers.
	Purges uint64
}

// Ends returns when the policy ends.
func (e Entry) Ends() time.Time { return e.Fetched.Add(e.Policy.MaxAge) }

// Value is the state of a domain in the shared store. The zero Value means unknown.
type Value struct {
	// Entry is the newest policy; nil for none. It had not ended when it was
	// read.
	Entry *Entry
	// Purged is when the domain was last purged, by the clock of the node that
	// purged it; zero for never.
	Purged time.Time
	// Number is the number of that purge, 0 if the purge applies by its time: a node
	// of a version without numbers has written it, or one that has fetched a policy
	// with a max_age of 0.
	Number uint64
}

// Voids reports whether the purge in v applies to a policy that was fetched at
// that time by a node that knew of that many purges when it began. A purge with
// a number is compared by number alone, because clocks may be wrong. One without
// is compared by time, and applies to the whole second that it is in: to fetch
// once more is cheap.
func (v Value) Voids(fetched time.Time, purges uint64) bool {
	if v.Number != noNumber {
		return purges < v.Number
	}
	return !fetched.After(v.Purged)
}

// highest returns the highest number of a purge in v.
func (v Value) highest() uint64 {
	if v.Entry != nil {
		return max(v.Number, v.Entry.Purges)
	}
	return v.Number
}

// purgedAfter reports whether v has a later purge than other has.
func (v Value) purgedAfter(other Value) bool {
	if v.Number != other.Number {
		return v.Number > other.Number
	}
	return v.Purged.After(other.Purged)
}

// Change is a message of a node, perhaps this one: it has fetched the domain's policy,
// or the domain was purged.
type Change struct {
	// Domain is the zero Domain if every domain was purged.
	Domain mtasts.Domain
	// Value has either Entry or Purged.
	Value Value
}
