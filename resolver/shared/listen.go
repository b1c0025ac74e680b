package shared

import (
	"context"
	"errors"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// pingAfter is how long nothing is received until the server is sent a ping,
	// which it must answer within the same time.
	pingAfter = 3 * time.Second

	// subscribeAgain is how long after its end a subscription is made again.
	subscribeAgain = 100 * time.Millisecond
)

// listen passes the messages of all nodes to the reader of Changes, until c is closed.
func (c *Client) listen() {
	for attempt := 0; ; attempt++ {
		c.receive(c.subscribe(attempt))
		select {
		case <-time.After(subscribeAgain):
		case <-c.ctx.Done():
			return
		}
	}
}

// subscribe begins a subscription. Each node of a cluster has the messages of
// all, but the Redis client asks only the one that a key of the channel's name
// would be on. So other attempts than the first ask each master in turn.
func (c *Client) subscribe(attempt int) *redis.PubSub {
	cluster, ok := c.redis.(*redis.ClusterClient)
	if ok && attempt > 0 {
		if masters := mastersOf(c.ctx, cluster); len(masters) > 0 {
			return masters[attempt%len(masters)].Subscribe(c.ctx, c.prefix+channel)
		}
	}
	return c.redis.Subscribe(c.ctx, c.prefix+channel)
}

// mastersOf returns the masters of a cluster, in a fixed order.
func mastersOf(ctx context.Context, cluster *redis.ClusterClient) (masters []*redis.Client) {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	var mu sync.Mutex
	cluster.ForEachMaster(ctx, func(_ context.Context, master *redis.Client) error {
		mu.Lock()
		defer mu.Unlock()
		masters = append(masters, master)
		return nil
	})
	slices.SortFunc(masters, func(a, b *redis.Client) int { return strings.Compare(a.Options().Addr, b.Options().Addr) })
	return masters
}

// receive passes on the messages of a subscription, until it fails or c is closed.
func (c *Client) receive(subscription *redis.PubSub) {
	defer subscription.Close()
	defer context.AfterFunc(c.ctx, func() { subscription.Close() })()
	for pinged := false; ; {
		received, err := subscription.ReceiveTimeout(c.ctx, pingAfter)
		var timeout net.Error
		switch {
		case errors.As(err, &timeout) && timeout.Timeout() && !pinged:
			pinged = true
			if subscription.Ping(c.ctx) != nil {
				return
			}
			continue
		case err != nil:
			return
		}
		pinged = false
		if m, ok := received.(*redis.Message); ok && !c.handle(m.Payload) {
			return
		}
	}
}

// handle passes a message on. It returns false if c is closed first.
func (c *Client) handle(payload string) bool {
	change, ok := c.parse(payload)
	if !ok {
		c.metrics.messages.invalid.Inc()
		return true
	}
	c.metrics.messages.valid.Inc()
	return c.notify(change)
}

// parse reads a message: the name of a value, a line feed and the value.
func (c *Client) parse(payload string) (Change, bool) {
	name, text, _ := strings.Cut(payload, "\n")
	var change Change
	if name != everything {
		d, err := mtasts.ParseDomain(strings.Clone(name)) // it may be kept, and the payload is long
		if err != nil || d.String() != name {
			return Change{}, false
		}
		change.Domain = d
	}
	now := time.Now()
	v, err := c.codec.decode(name, text, now, c.purges.Purges())
	if err != nil || v.Entry != nil && (name == everything || !now.Before(v.Entry.Ends())) {
		return Change{}, false
	}
	c.see(v)
	change.Value = v
	return change, true
}

// notify sends a change to the reader of Changes. It returns false if c is closed first.
func (c *Client) notify(change Change) bool {
	select {
	case c.changes <- change:
		return true
	case <-c.ctx.Done():
		return false
	}
}
