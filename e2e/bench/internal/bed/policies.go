package bed

import (
	"log/slog"
	"time"

	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/store"
)

// fillBatch is how many policies are written at once.
const fillBatch = 10_000

// Fill makes a policy file with the first policies, all fetched at that time.
// Their records are to be asked for again a while after it, and the policies
// themselves are not due for half a day.
func Fill(path string, policies int, fetched time.Time, recheck time.Duration) error {
	clk := clock.System()
	at := clk.Origin().Moment(fetched)
	st, err := store.Open(path, clk, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	defer st.Close() // fails if it was closed below
	for n := range policies {
		e, err := entry(Domain(uint32(n)))
		if err != nil {
			return err
		}
		e.Fetched, e.Used, e.Recheck = store.Fetched{Wall: fetched}, at, at.Add(recheck)
		e.Next = at.Add(12*time.Hour + time.Duration(n)*time.Minute/1000)
		st.Put(e)
		if n%fillBatch == fillBatch-1 {
			if err := st.Flush(); err != nil {
				return err
			}
		}
	}
	return st.Close()
}

func entry(name string) (store.Entry, error) {
	domain, err := mtasts.ParseDomain(name)
	if err != nil {
		return store.Entry{}, err
	}
	policy, err := mtasts.ParsePolicy(Policy(name))
	return store.Entry{Domain: domain, ID: PolicyID, Policy: policy}, err
}
