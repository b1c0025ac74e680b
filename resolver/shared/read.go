package shared

import (
	"context"
	"errors"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/resolver/mtasts"
)

// found is what was under a key.
type found struct {
	Value
	invalid error // why it is no value
}

// Get returns what the fleet knows of the domain. What cannot be had within the
// timeout, and what is under the domain's key without being a value, is nothing.
func (c *Client) Get(ctx context.Context, d mtasts.Domain) Value {
	var own, all found
	err := c.ask(ctx, func(ctx context.Context) (err error) {
		own, all, err = c.read(ctx, d.String())
		return err
	})
	v := together(own.Value, all.Value, time.Now())
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

// together returns what a domain's own value and that of everything say of it.
func together(own, all Value, now time.Time) Value {
	v := own
	if all.Purged.After(v.Purged) {
		v.Purged = all.Purged
	}
	if v.Entry != nil && (v.Voids(v.Entry.Fetched) || !now.Before(v.Entry.Ends())) {
		v.Entry = nil
	}
	return v
}

// read returns what is under name's key, and under that of everything.
func (c *Client) read(ctx context.Context, name string) (own, all found, err error) {
	var ownReply, allReply *redis.StringCmd
	// Each reply has its own error.
	c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
		ownReply = c.readOne(ctx, p, name)
		allReply = c.readOne(ctx, p, everything)
		return nil
	})
	if own, err = c.found(name, ownReply); err != nil {
		return found{}, found{}, err
	}
	if all, err = c.found(everything, allReply); err != nil {
		return found{}, found{}, err
	}
	return own, all, nil
}

// readOne asks for an octet more than a value may have, and no more: what a
// stranger has put there may be large.
func (c *Client) readOne(ctx context.Context, r redis.Cmdable, name string) *redis.StringCmd {
	return r.GetRange(ctx, c.prefix+name, 0, maxValueLen)
}

func (c *Client) found(name string, reply *redis.StringCmd) (found, error) {
	text, err := reply.Result()
	switch {
	case isForeign(err):
		return found{invalid: err}, nil
	case err != nil || text == "": // GETRANGE has no other word for absence
		return found{}, err
	}
	v, invalid := c.codec.decode(name, text, time.Now())
	return found{v, invalid}, nil
}

// watch reads the store now and then although nobody asks. That finds a purge of
// everything that was not heard of, and that the store works again.
func (c *Client) watch() {
	var told time.Time
	for {
		var all found
		c.ask(c.ctx, func(ctx context.Context) (err error) { // where it fails, the breaker tells
			all, err = c.found(everything, c.readOne(ctx, c.redis, everything))
			return err
		})
		if all.Purged.After(told) && c.tell(Change{Value: all.Value}) {
			told = all.Purged
		}
		c.reads.settle()
		c.writes.settle()
		next := c.pace.steady
		if pause := c.reads.wait(); pause > 0 {
			next = pause
		}
		select {
		case <-time.After(next):
		case <-c.ctx.Done():
			return
		}
	}
}
