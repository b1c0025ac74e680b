// Package refresh schedules the fetches of known policies: when each is due, how many
// run at the same time, and when a failed one is tried again.
//
// A policy is fetched again before its max_age ends, although its id is the same: some
// publishers change the policy and forget the id, and a policy that is refreshed in time
// survives an outage of its host. With an interval of 24h and a max_age of a week, a
// policy is due about every 24 hours. After a failure it is tried again after 5 minutes,
// then 10, 20 and so on up to an hour.
//
// The package has no policies and fetches nothing: its caller does.
package refresh

import "time"

// FirstRetry is how long a policy host is left alone after a failure for one
// policy id (RFC 8461 section 3.3). It doubles from failure to failure up to
// LastRetry.
const (
	FirstRetry = 5 * time.Minute
	LastRetry  = time.Hour
)

// After returns how long after its fetch a policy is due again: at the interval
// or half way through its life, whichever is sooner, give or take a tenth.
// random is from 0 up to 1; it keeps policies that were fetched together from
// being fetched together for ever.
func After(interval, maxAge time.Duration, random float64) time.Duration {
	const spread = 0.1
	due := min(interval, maxAge/2)
	return time.Duration(float64(due) * (1 - spread + 2*spread*random))
}

// Backoff returns how long to wait after so many failures in a row, 1 or more.
func Backoff(failures int) time.Duration {
	wait := FirstRetry
	for range failures - 1 {
		if wait *= 2; wait >= LastRetry {
			return LastRetry
		}
	}
	return wait
}
