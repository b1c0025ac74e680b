package shared

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/resolver/mtasts"
)

// LeaseLife is how long a lease keeps the other nodes from refreshing a domain:
// as long as RFC 8461 section 3.3 wants between two fetches that fail.
const LeaseLife = 5 * time.Minute

// leaseKey precedes the domain in the name of its lease.
const leaseKey = "lease:"

// Lease reports whether this node may refresh the domain. The other nodes are refused
// for LeaseLife; by then the policy is shared, or the fetch has failed and another
// node may try. If the store does not answer, every node may refresh.
//
// Anybody who can write to the store can hold every lease, so a caller that is refused
// for longer than twice LeaseLife should refresh without one.
func (c *Client) Lease(ctx context.Context, d mtasts.Domain) bool {
	var cannotWrite error
	name := leaseKey + d.String()
	err := c.ask(ctx, c.shardOf(name), func(ctx context.Context) error {
		err := c.redis.SetArgs(ctx, c.prefix+name, "", redis.SetArgs{Mode: "NX", TTL: LeaseLife}).Err()
		if isReply(err) && !errors.Is(err, redis.Nil) {
			cannotWrite, err = err, nil // a store that is full can be read
		}
		return err
	})
	count := &c.metrics.leases
	switch {
	case errors.Is(err, redis.Nil):
		count.refused.Inc()
		return false
	case errors.Is(err, errPaused):
		count.skipped.Inc()
	case err != nil || cannotWrite != nil:
		count.failed.Inc()
	default:
		count.granted.Inc()
	}
	return true
}
