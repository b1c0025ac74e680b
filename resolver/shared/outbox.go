package shared

import (
	"context"
	"slices"
	"time"

	"mta-sts-daemon/resolver/mtasts"
)

const (
	// maxWaiting is how many policies, and how many purges, wait in each shard to
	// be written while it is unavailable. At the limit the oldest is dropped: the
	// node that fetched a policy still has it.
	maxWaiting = 1000

	// keepEnded is how much longer than its policy a value is kept, so that a
	// slow clock does not miss it.
	keepEnded = time.Minute

	// keepPurge is how long a purge is kept: until no policy fetched before it
	// can be alive anywhere.
	keepPurge = mtasts.MaxMaxAge

	channel = "changes"
)

// message is a value to be written.
//
//	state             next
//	purge, no number  the counter's shard gives it a number: purge, number
//	purge, number     written by the domain's shard; no number again if that has a higher one
//	policy            written by the domain's shard
//
// A shard owns a message while it is in its queue.
type message struct {
	name   string     // a domain, or everything
	value  Value      // Client.mu guards its Number
	purge  bool       // whether it is a purge by an operator
	result chan error // of a purge; has room for one
}

// key returns the name of the key that has to be written next: a purge needs a
// number before it is written.
func (m *message) key() string {
	if m.purge && m.value.Number == noNumber {
		return counterName
	}
	return m.name
}

// ends returns when the value becomes useless.
func (m *message) ends() time.Time {
	if e := m.value.Entry; e != nil && e.Policy.MaxAge > 0 {
		return e.Ends()
	}
	return m.at().Add(keepPurge)
}

// at returns the time that decides which of two values with the same number is
// newer.
func (m *message) at() time.Time {
	if m.value.Entry != nil {
		return m.value.Entry.Fetched
	}
	return m.value.Purged
}

// finish returns err to the caller that waits for the message, once.
func (m *message) finish(err error) {
	select {
	case m.result <- err:
	default:
	}
}

// Put shares a policy that this node has fetched, unless the store has a newer one. It
// returns at once; while the store is unavailable the last thousand wait. A policy with
// a max_age of 0 removes the one before and is not kept.
func (c *Client) Put(d mtasts.Domain, e Entry) {
	c.post(&message{name: d.String(), value: Value{Entry: &e}})
}

// Purge has all nodes drop the domain's policies fetched until now. number is that of
// the purge; 0 if the store has not given one yet. The error is the reason why the
// store does not have the purge yet. It is retried until the daemon stops, and this
// node receives it as a Change as the others do.
func (c *Client) Purge(ctx context.Context, d mtasts.Domain) (number uint64, err error) {
	return c.purge(ctx, d.String())
}

// PurgeAll has all nodes drop the policies of all domains, as Purge does for one.
func (c *Client) PurgeAll(ctx context.Context) (number uint64, err error) {
	return c.purge(ctx, everything)
}

func (c *Client) purge(ctx context.Context, name string) (uint64, error) {
	m := &message{name: name, value: Value{Purged: time.Now()}, purge: true, result: make(chan error, 1)}
	c.post(m)
	var err error
	select {
	case err = <-m.result:
	case <-ctx.Done():
		err = &Error{context.Cause(ctx)}
	case <-c.ctx.Done():
		err = errClosed
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return m.value.Number, err
}

// post queues a message in its shard, in place of the oldest if need be.
func (c *Client) post(m *message) {
	c.mu.Lock()
	key := m.key()
	c.mu.Unlock()
	addr := c.route(key)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.shardAt(addr, key)
	queue := s.queue(m)
	if len(*queue) == maxWaiting {
		c.metrics.writes.dropped.Inc()
		(*queue)[0].finish(errDropped)
		*queue = slices.Delete(*queue, 0, 1)
	}
	*queue = append(*queue, m)
	select {
	case s.posted <- struct{}{}:
	default:
	}
}

// next returns the message that is to be written next, and the key: a purge, if one
// waits. It stays in the queue. m is nil if nothing waits.
func (c *Client) next(s *shard) (m *message, key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, queue := range [][]*message{s.purges, s.policies} {
		if len(queue) > 0 {
			return queue[0], queue[0].key()
		}
	}
	return nil, ""
}

// remove takes the message out of the shard's queue, if it is still there.
func (c *Client) remove(s *shard, m *message) {
	c.mu.Lock()
	defer c.mu.Unlock()
	queue := s.queue(m)
	*queue = slices.DeleteFunc(*queue, func(other *message) bool { return other == m })
}

// deliver writes the messages of the shard, until that or c ends.
func (c *Client) deliver(s *shard) {
	for c.ctx.Err() == nil {
		m, key := c.next(s)
		var wait <-chan time.Time
		switch {
		case m == nil:
		case c.route(key) != s.addr:
			c.remove(s, m)
			c.post(m)
			continue
		case !time.Now().Before(m.ends()):
			c.remove(s, m)
			m.finish(nil)
			continue
		case c.try(s, m):
			continue
		case key == counterName && c.route(m.name) != s.addr:
			c.setNumber(m, c.ownNumber())
			c.remove(s, m)
			c.post(m)
			continue
		default:
			wait = time.After(s.writes.wait())
		}
		select {
		case <-wait:
		case <-s.posted:
		case <-s.ended:
			return
		case <-c.ctx.Done():
		}
	}
	c.clear(s)
}

// try advances a message if the shard may be asked, and reports whether that
// succeeded.
func (c *Client) try(s *shard, m *message) bool {
	t, ok := s.writes.begin()
	if !ok {
		return false
	}
	done, err := c.advance(m)
	s.writes.end(t, err)
	if err != nil {
		return false
	}
	c.remove(s, m)
	if done {
		m.finish(nil)
	} else {
		c.post(m)
	}
	return true
}

// clear writes the messages that are left when c is closed, as long as that succeeds.
func (c *Client) clear(s *shard) {
	deadline := time.Now().Add(attemptTimeout)
	for time.Now().Before(deadline) {
		m, _ := c.next(s)
		if m == nil {
			return
		}
		done, err := c.advance(m)
		if err != nil {
			return
		}
		if done {
			c.remove(s, m)
		}
	}
}

// advance takes the next step of a message: a purge without a number gets one, anything
// else is written. It does not end with c, so that a step that was begun is completed.
func (c *Client) advance(m *message) (done bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), c.pace.attempt)
	defer cancel()
	c.mu.Lock()
	current := *m // its number may be set meanwhile, if its shard has ended
	c.mu.Unlock()
	var number uint64
	if current.key() == counterName {
		number, err = c.count(ctx, 1)
	} else {
		done, err = c.write(ctx, &current)
	}
	switch {
	case err != nil:
		c.metrics.writes.failed.Inc()
	case !done:
		c.setNumber(m, number)
	}
	return done, err
}

func (c *Client) setNumber(m *message, number uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m.value.Number = number
}

// write writes the message, unless the store has a newer value. It is not done if
// the message is a purge that needs a higher number: this node had not seen the
// number that is there.
func (c *Client) write(ctx context.Context, m *message) (done bool, err error) {
	kept, err := c.keep(ctx, m, "")
	if err != nil {
		return false, err
	}
	if !kept {
		text, err := c.readOne(ctx, c.redis, m.name).Result()
		if err != nil {
			return false, err
		}
		there, invalid := c.codec.decode(m.name, text, time.Now(), c.purges.Purges())
		switch {
		case invalid == errForged: // which the script cannot know, for it has no key
			if kept, err = c.keep(ctx, m, text[:min(len(text), oldLen)]); err != nil {
				return false, err
			}
		case invalid == nil:
			c.see(there)
			if number := m.value.Number; m.purge && number <= there.highest() && number < maxNumber {
				return false, nil
			}
		}
	}
	if kept {
		c.metrics.writes.kept.Inc()
	} else {
		c.metrics.writes.stale.Inc()
	}
	return true, nil
}

// keep runs keepNewer. The present value does not count if it begins with forged.
func (c *Client) keep(ctx context.Context, m *message, forged string) (kept bool, err error) {
	now := time.Now()
	policy := m.value.Entry != nil
	return keepNewer.Run(ctx, c.redis, []string{c.prefix + m.name},
		c.codec.encode(m.name, m.value), m.at().Unix(), m.value.highest(), policy,
		now.Add(MaxAhead).Unix(), highestBelieved(c.purges.Purges()),
		m.ends().Add(keepEnded).Sub(now).Milliseconds(), c.prefix+channel, m.name, forged).Bool()
}
