package shared

import (
	"context"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// maxWaiting is how many values wait to be written, while the store is away.
	// More push out the oldest: it is known where it was fetched.
	maxWaiting = 1000

	// keepEnded is how much longer than its policy a value is kept, so that no
	// clock that is slow misses it.
	keepEnded = time.Minute

	// keepPurge is how long a purge is remembered: until no policy fetched
	// before it can be alive anywhere.
	keepPurge = mtasts.MaxMaxAge

	channel = "changes"
)

// message is a value to be written.
type message struct {
	name  string // of a domain, or everything
	value Value
	done  chan<- error // hears once whether it was written; with room for that
}

// ends returns when the value is of no use any more.
func (m message) ends() time.Time {
	if m.value.Entry != nil {
		return m.value.Entry.Ends()
	}
	return m.value.Purged.Add(keepPurge)
}

// at returns the time that decides which value is newer.
func (m message) at() time.Time {
	if m.value.Entry != nil {
		return m.value.Entry.Fetched
	}
	return m.value.Purged
}

func (m message) tell(err error) {
	if m.done != nil {
		m.done <- err
	}
}

// Put shares a policy that this node has fetched, unless the fleet has a newer
// one. It returns at once; while the store is away the last thousand wait. A
// policy with a max_age of 0 leaves nothing of the one before.
func (c *Client) Put(d mtasts.Domain, e Entry) {
	v := Value{Entry: &e}
	if e.Policy.MaxAge == 0 {
		v = Value{Purged: e.Fetched}
	}
	c.post(message{name: d.String(), value: v})
}

// Purge has the whole fleet forget the domain's policies fetched until now. The
// error says that the store has not taken it yet; it is tried again all the same,
// but for a daemon that stops.
func (c *Client) Purge(ctx context.Context, d mtasts.Domain) error { return c.purge(ctx, d.String()) }

// PurgeAll has the fleet forget every domain, as Purge does one.
func (c *Client) PurgeAll(ctx context.Context) error { return c.purge(ctx, everything) }

func (c *Client) purge(ctx context.Context, name string) error {
	done := make(chan error, 1)
	c.post(message{name: name, value: Value{Purged: time.Now()}, done: done})
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return &Error{context.Cause(ctx)}
	case <-c.ctx.Done():
		return errClosed
	}
}

// post puts a message behind those that wait, in the place of the oldest if need
// be.
func (c *Client) post(m message) {
	for {
		select {
		case c.outbox <- m:
			return
		default:
		}
		select {
		case oldest := <-c.outbox:
			c.metrics.writes.dropped.Inc()
			oldest.tell(errDropped)
		default:
		}
	}
}

// deliver writes what is posted, in order.
func (c *Client) deliver() {
	for {
		select {
		case m := <-c.outbox:
			c.insist(m)
		case <-c.ctx.Done():
			c.clear()
			return
		}
	}
}

// insist tries until the message is written, has lost its use or c is closed.
func (c *Client) insist(m message) {
	for time.Now().Before(m.ends()) {
		if t, ok := c.writes.begin(); ok {
			err := c.write(m)
			c.writes.end(t, err)
			if err == nil {
				break
			}
		}
		select {
		case <-time.After(c.writes.wait()):
		case <-c.ctx.Done():
			m.tell(errClosed)
			return
		}
	}
	m.tell(nil)
}

// clear writes what is left, as long as that goes well.
func (c *Client) clear() {
	deadline := time.Now().Add(attemptTimeout)
	for time.Now().Before(deadline) {
		select {
		case m := <-c.outbox:
			if err := c.write(m); err != nil {
				return
			}
		default:
			return
		}
	}
}

// write writes the message, unless the store has a newer value. It does not end
// with c, so that what was begun is done.
func (c *Client) write(m message) error {
	ctx, cancel := context.WithTimeout(context.Background(), attemptTimeout)
	defer cancel()
	now := time.Now()
	kept, err := keepNewer.Run(ctx, c.redis, []string{c.prefix + m.name},
		c.codec.encode(m.name, m.value), m.at().Unix(), now.Add(maxAhead).Unix(),
		m.ends().Add(keepEnded).Sub(now).Milliseconds(), c.prefix+channel, m.name).Int()
	switch {
	case err != nil:
		c.metrics.writes.failed.Inc()
	case kept == 0:
		c.metrics.writes.stale.Inc()
	default:
		c.metrics.writes.kept.Inc()
	}
	return err
}
