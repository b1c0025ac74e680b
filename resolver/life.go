package resolver

import "time"

// The lives that RFC 8461 leaves to the implementation; docs/rfc8461.md says
// why each is what it is. How often policies are fetched stands in refresh.
const (
	// What is said of a record, there or not, is believed for its TTL within
	// these bounds.
	minRecordLife = time.Minute
	maxRecordLife = time.Hour

	// dnsRetry is how long a failure of the DNS itself is believed.
	dnsRetry = 30 * time.Second

	// A record that changed before the policy did is followed up this long
	// after it was seen, and this long after that.
	firstFollowUp  = 5 * time.Minute
	secondFollowUp = time.Hour - firstFollowUp

	// maxAhead is how far in the future a stored policy may have been fetched
	// before the clock of then is held to have been wrong.
	maxAhead = 5 * time.Minute

	// keepExpired is how long an expired policy stays in the store, for those
	// who ask what was known.
	keepExpired = 30 * 24 * time.Hour

	// usedStep is how exact an entry's last use is, usedWorth what the store
	// is told of it.
	usedStep  = time.Minute
	usedWorth = time.Hour
)

func recordLife(ttl time.Duration) time.Duration {
	return min(max(ttl, minRecordLife), maxRecordLife)
}
