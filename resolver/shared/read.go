package shared

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/resolver/mtasts"
)

// found is what was under a key.
type found struct {
	Value
	invalid error // why it is no value
}

// Get returns what the fleet knows of the domain. What is not returned within the
// timeout, and what is under the domain's key without being a value, counts as
// not known.
func (c *Client) Get(ctx context.Context, d mtasts.Domain) Value {
	own, all, err := c.readBoth(ctx, d.String())
	v := together(own.Value, all, time.Now())
	count := &c.metrics.reads
	switch {
	case errors.Is(err, errLeftAlone):
		count.skipped.Inc()
	case err != nil:
		count.failed.Inc()
	case own.invalid != nil:
		count.invalid.Inc()
	case v.Entry == nil:
		count.miss.Inc()
	default:
		count.hit.Inc()
	}
	return v
}

// together returns what a domain's own value and the purge of all domains say of
// it.
func together(own, all Value, now time.Time) Value {
	v := own
	if e := v.Entry; e != nil && (all.Voids(e.Fetched, e.Purges) || !now.Before(e.Ends())) {
		v.Entry = nil
	}
	if all.purgedAfter(v) {
		v.Purged, v.Number = all.Purged, all.Number
	}
	return v
}

// readBoth returns what is under name's key, and the last purge of all domains.
// The error is about name's key alone: if its shard answers and the other does
// not, the last purge that was read counts.
func (c *Client) readBoth(ctx context.Context, name string) (own found, all Value, err error) {
	s, other := c.shardOf(name), c.shardOf(everything)
	if s == other {
		err = c.ask(ctx, s, func(ctx context.Context) error {
			found, err := c.read(ctx, name, everything)
			if err == nil {
				own = found[0]
				c.keepAll(found[1])
			}
			return err
		})
		return own, c.lastAll(), err
	}
	var both sync.WaitGroup
	both.Go(func() { c.readAll(ctx, other) })
	own, err = c.readFrom(ctx, s, name)
	both.Wait()
	return own, c.lastAll(), err
}

// readAll reads the last purge of all domains, from the shard that has it.
func (c *Client) readAll(ctx context.Context, s *shard) {
	if all, err := c.readFrom(ctx, s, everything); err == nil {
		c.keepAll(all)
	}
}

// keepAll and lastAll keep the last purge of all domains that was read.
func (c *Client) keepAll(all found) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if all.purgedAfter(c.all) {
		c.all = all.Value
	}
}

func (c *Client) lastAll() Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// readFrom asks the shard for what is under name's key.
func (c *Client) readFrom(ctx context.Context, s *shard, name string) (own found, err error) {
	err = c.ask(ctx, s, func(ctx context.Context) error {
		found, err := c.read(ctx, name)
		if err == nil {
			own = found[0]
		}
		return err
	})
	return own, err
}

// read returns what is under the names' keys. All must be of one shard.
func (c *Client) read(ctx context.Context, names ...string) ([]found, error) {
	replies := make([]*redis.StringCmd, len(names))
	_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		for i, name := range names {
			replies[i] = c.readOne(ctx, p, name)
		}
		return nil
	})
	// Each reply has its own error, except that none has the one of a connection
	// that the server refuses.
	answered := func(r *redis.StringCmd) bool { return r.Err() != nil || r.Val() != "" }
	if err != nil && !slices.ContainsFunc(replies, answered) {
		return nil, err
	}
	all := make([]found, len(names))
	for i, reply := range replies {
		if all[i], err = c.found(names[i], reply); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// readOne asks for one byte more than a value may have, and no more: what others
// have put there may be large.
func (c *Client) readOne(ctx context.Context, r redis.Cmdable, name string) *redis.StringCmd {
	return r.GetRange(ctx, c.prefix+name, 0, maxValueLen)
}

func (c *Client) found(name string, reply *redis.StringCmd) (found, error) {
	text, err := reply.Result()
	switch {
	case isForeign(err):
		return found{invalid: err}, nil
	case err != nil || text == "": // GETRANGE does not tell absent from empty
		return found{}, err
	}
	v, invalid := c.codec.decode(name, text, time.Now(), c.purges.Purges())
	c.see(v)
	return found{v, invalid}, nil
}
