package bed

import (
	"cmp"
	"log/slog"
	"slices"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

const (
	// fillBatch is how many policies are written at once.
	fillBatch = 10_000

	// sortedFrom is from how many policies on they are written in the order of the
	// file. Otherwise each write touches as many pages as it has policies, which
	// takes hours with ten million.
	sortedFrom = 2_000_000
)

// Filling describes a policy file.
type Filling struct {
	Policies int       // the first so many domains
	Fetched  time.Time // of all policies
	// Recheck is how long after Fetched their records are to be asked for again.
	Recheck time.Duration
	// Due is how long after Fetched the first policy is to be fetched again. The
	// others follow within DueWithin.
	Due time.Duration
}

const (
	// NotDue is a Due of policies that are not due while a benchmark runs.
	NotDue    = 12 * time.Hour
	DueWithin = 12 * time.Hour
)

// Fill makes a policy file with the first policies, all fetched at that time and not
// due. Their records are to be asked for again a while after it.
func Fill(path string, policies int, fetched time.Time, recheck time.Duration) error {
	return Filling{Policies: policies, Fetched: fetched, Recheck: recheck, Due: NotDue}.Make(path)
}

// Make makes the file.
func (f Filling) Make(path string) error {
	clk := clock.System()
	at := clk.Origin().Moment(f.Fetched)
	st, err := store.Open(path, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer st.Close() // fails if it was closed below
	due, step := at.Add(f.Due), DueWithin/time.Duration(max(f.Policies, 1))
	for written, n := range f.order() {
		e, err := entry(Domain(n))
		if err != nil {
			return err
		}
		e.Fetched, e.Used, e.Recheck = store.Fetched{Wall: f.Fetched}, at, at.Add(f.Recheck)
		e.Next = due
		e.ToMX = true // else the first lookup of each would write it down
		due = due.Add(step)
		st.Put(e)
		if written%fillBatch == fillBatch-1 {
			if err := st.Flush(); err != nil {
				return err
			}
		}
	}
	return st.Close()
}

// order returns the numbers of the domains in the order in which they are written.
func (f Filling) order() []uint32 {
	order := make([]uint32, f.Policies)
	for i := range order {
		order[i] = uint32(i)
	}
	if f.Policies >= sortedFrom {
		slices.SortFunc(order, func(a, b uint32) int { return cmp.Compare(scatter(a), scatter(b)) })
	}
	return order
}

func entry(name string) (store.Entry, error) {
	domain, err := mtasts.ParseDomain(name)
	if err != nil {
		return store.Entry{}, err
	}
	policy, err := mtasts.ParsePolicy(Policy(name))
	return store.Entry{Domain: domain, ID: PolicyID, Policy: policy}, err
}
