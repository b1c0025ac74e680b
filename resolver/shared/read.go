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

// stored is the value of a key, the zero Value if the key has none.
type stored struct {
	Value
	invalid error // why the key's text is not a value
}

// Get returns the store's value of the domain. If there is no answer within the
// timeout, or if the text of the key is not a value, it returns a Value without an
// Entry, with the last purge of all domains that was read.
func (c *Client) Get(ctx context.Context, d mtasts.Domain) Value {
	own, all, err := c.readBoth(ctx, d.String())
	v := together(own.Value, all, time.Now())
	count := &c.metrics.reads
	switch {
	case errors.Is(err, errPaused):
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

// together applies the last purge of all domains to a domain's value. It also removes
// an entry that has ended.
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

// readBoth returns the value of name's key and the last purge of all domains. The
// error is about name's key alone: if only the shard of the purge fails, all is the
// last purge that was read before.
func (c *Client) readBoth(ctx context.Context, name string) (own stored, all Value, err error) {
	s, other := c.shardOf(name), c.shardOf(everything)
	names := []string{name, everything}
	var both sync.WaitGroup
	if s != other {
		names = names[:1]
		both.Go(func() { c.readAll(ctx, other) })
	}
	values, err := c.read(ctx, s, names...)
	both.Wait()
	if err == nil {
		own = values[0]
		c.keepAll(values[1:])
	}
	return own, c.lastAll(), err
}

// readAll reads the last purge of all domains, from the shard that has it.
func (c *Client) readAll(ctx context.Context, s *shard) {
	if values, err := c.read(ctx, s, everything); err == nil {
		c.keepAll(values)
	}
}

// keepAll keeps for lastAll the latest of the purges of all domains in read.
func (c *Client) keepAll(read []stored) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, all := range read {
		if all.purgedAfter(c.all) {
			c.all = all.Value
		}
	}
}

func (c *Client) lastAll() Value {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.all
}

// read returns the values of the names' keys, all of which the shard has.
func (c *Client) read(ctx context.Context, s *shard, names ...string) (values []stored, err error) {
	err = c.ask(ctx, s, func(ctx context.Context) error {
		replies := make([]*redis.StringCmd, len(names))
		_, err := c.redis.Pipelined(ctx, func(p redis.Pipeliner) error {
			for i, name := range names {
				replies[i] = c.readOne(ctx, p, name)
			}
			return nil
		})
		// Each reply has its own error. But if the server refuses the connection, only
		// err is set, and the replies have neither an error nor a text.
		answered := func(r *redis.StringCmd) bool { return r.Err() != nil || r.Val() != "" }
		if err != nil && !slices.ContainsFunc(replies, answered) {
			return err
		}
		values = make([]stored, len(names))
		for i, reply := range replies {
			if values[i], err = c.parseReply(names[i], reply); err != nil {
				return err
			}
		}
		return nil
	})
	return values, err
}

// readOne asks for maxValueLen bytes and one more, by which decode recognises a text
// that is too long. It does not ask for all: another program may have stored a large one.
func (c *Client) readOne(ctx context.Context, r redis.Cmdable, name string) *redis.StringCmd {
	return r.GetRange(ctx, c.prefix+name, 0, maxValueLen)
}

func (c *Client) parseReply(name string, reply *redis.StringCmd) (stored, error) {
	text, err := reply.Result()
	switch {
	case isForeign(err):
		return stored{invalid: err}, nil
	case err != nil || text == "": // GETRANGE returns the same for absent and empty
		return stored{}, err
	}
	v, invalid := c.codec.decode(name, text, time.Now(), c.purges.Purges())
	c.see(v)
	return stored{v, invalid}, nil
}
