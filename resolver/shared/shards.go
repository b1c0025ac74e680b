package shared

import (
	"context"
	"maps"
	"slices"

	"github.com/redis/go-redis/v9"
)

// shard is a server that fails as a whole: the only one (or the sentinels'
// master), or one of a cluster's masters. Each has its own breakers and its own
// queue, so that a master that is down delays no key of the others.
//
// A shard begins with the first key that is on its server. It ends when the key
// is found on another server, after a failover for example.
type shard struct {
	addr          string
	sample        string // the name of a key that is there
	reads, writes *breaker
	ended         chan struct{} // closed at its end
	posted        chan struct{} // has room for one; receives after a message was queued

	// Messages that wait to be written, oldest first. Client.mu guards both.
	purges, policies []*message
}

// queue returns the queue that m belongs in. Client.mu must be held.
func (s *shard) queue(m *message) *[]*message {
	if m.purge {
		return &s.purges
	}
	return &s.policies
}

// unknown is the address of the only server, and of all keys of a cluster until
// the Redis client has read which master has which.
const unknown = ""

// route returns the address of the server that has name's key. It does not wait
// for the network.
func (c *Client) route(name string) string {
	masters, ok := c.redis.(*redis.ClusterClient)
	if !ok {
		return unknown
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // so that the Redis client uses only its memory
	master, err := masters.MasterForKey(ctx, c.prefix+name)
	if err != nil {
		return unknown
	}
	return master.Options().Addr
}

// readMasters has the Redis client read, in the background, which master of a
// cluster has which keys: one that fails may have been replaced by its replica.
// By itself the Redis client does so once a minute, unless a master redirects it.
func (c *Client) readMasters() {
	if masters, ok := c.redis.(*redis.ClusterClient); ok {
		masters.ReloadState(c.ctx)
	}
}

// shardOf returns the shard that has name's key.
func (c *Client) shardOf(name string) *shard {
	addr := c.route(name)
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.shardAt(addr, name)
}

// shardAt returns the shard at addr and begins it if need be. c.mu must be held.
func (c *Client) shardAt(addr, name string) *shard {
	s := c.shards[addr]
	if s == nil {
		s = &shard{
			addr:   addr,
			sample: name,
			reads:  &breaker{report: c.health.report, pace: c.pace},
			writes: &breaker{report: c.health.report, pace: c.pace},
			ended:  make(chan struct{}),
			posted: make(chan struct{}, 1),
		}
		c.shards[addr] = s
		if c.ctx.Err() == nil {
			c.underway.Go(func() { c.deliver(s) })
		}
	}
	return s
}

// allShards returns the shards that there are now.
func (c *Client) allShards() []*shard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Values(c.shards))
}

// endMoved ends a shard if its sample is on another server now, and moves its
// messages to the shards that they belong to.
func (c *Client) endMoved(s *shard) (moved bool) {
	if c.route(s.sample) == s.addr {
		return false
	}
	c.mu.Lock()
	delete(c.shards, s.addr)
	left := slices.Concat(s.purges, s.policies)
	s.purges, s.policies = nil, nil
	c.mu.Unlock()
	for _, m := range left {
		c.post(m)
	}
	close(s.ended)
	s.reads.retire()
	s.writes.retire()
	return true
}
