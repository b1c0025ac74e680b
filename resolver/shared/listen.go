package shared

import (
	"context"
	"strings"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

// listen hands on what the fleet tells. The Redis client subscribes again by
// itself after every failure.
func (c *Client) listen() {
	subscription := c.redis.Subscribe(c.ctx, c.prefix+channel)
	defer subscription.Close()
	defer context.AfterFunc(c.ctx, func() { subscription.Close() })() // ends the channel
	for m := range subscription.Channel() {
		change, ok := c.parse(m.Payload)
		if !ok {
			c.metrics.messages.invalid.Inc()
			continue
		}
		c.metrics.messages.valid.Inc()
		if !c.tell(change) {
			return
		}
	}
}

// parse reads a message: what it is of, a line feed and a value.
func (c *Client) parse(payload string) (Change, bool) {
	name, text, _ := strings.Cut(payload, "\n")
	var change Change
	if name != everything {
		d, err := mtasts.ParseDomain(name)
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

// tell hands on a change; false where c is closed before anybody takes it.
func (c *Client) tell(change Change) bool {
	select {
	case c.changes <- change:
		return true
	case <-c.ctx.Done():
		return false
	}
}
