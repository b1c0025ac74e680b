package resolver

import "time"

// The lives that RFC 8461 leaves to the implementation; docs/rfc8461.md says
// why each is what it is.
const (
	// What is said of a record, there or not, is believed for its TTL within
	// these bounds.
	minRecordLife = time.Minute
	maxRecordLife = time.Hour

	// fetchRetry is how long a policy host is left alone after a failure for
	// one policy id (section 3.3).
	fetchRetry = 5 * time.Minute

	// dnsRetry is how long a failure of the DNS itself is believed.
	dnsRetry = 30 * time.Second
)

func recordLife(ttl time.Duration) time.Duration {
	return min(max(ttl, minRecordLife), maxRecordLife)
}
