package shared

import (
	"context"
	"time"
)

// watch reads every shard now and then although nobody asks. That finds a purge of
// all domains whose message was missed, brings the number of the last purge back
// if the store has lost it, and notices that a shard works again.
func (c *Client) watch() {
	var last Value
	for {
		c.readAll(c.ctx, c.shardOf(everything))
		if all := c.lastAll(); all.purgedAfter(last) && c.notify(Change{Value: all}) {
			last = all
		}
		c.watchNumber()
		select {
		case <-time.After(c.watchShards()):
		case <-c.ctx.Done():
			return
		}
	}
}

// watchShards returns how long until the shards should be watched again.
func (c *Client) watchShards() time.Duration {
	next := c.pace.steady
	for _, s := range c.allShards() {
		if c.endMoved(s) {
			continue
		}
		c.read(c.ctx, s, s.sample) // only whether it answers matters
		s.reads.settle()
		s.writes.settle()
		pause := s.reads.wait()
		if pause > 0 {
			next = min(next, pause)
		}
		if pause > 0 || s.writes.wait() > 0 {
			c.readMasters()
		}
	}
	return next
}

func (c *Client) watchNumber() {
	c.ask(c.ctx, c.shardOf(counterName), func(ctx context.Context) error {
		_, err := c.count(ctx, 0)
		if isReply(err) {
			return nil // a store that is full can be read
		}
		return err
	})
}
