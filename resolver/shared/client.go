package shared

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// Options are what a Client needs to know. All but Roots and Key are required.
type Options struct {
	Servers Servers
	// Roots are the authorities that servers are verified against; nil means
	// the system's.
	Roots *x509.CertPool
	// Key authenticates what the nodes write; nil for none. All nodes have the
	// same, or what one writes is nothing to the others.
	Key []byte
	// Prefix and a colon begin every key and the channel.
	Prefix string
	// Timeout bounds what Get and Lease wait for the store.
	Timeout time.Duration
	Metrics *Metrics
	Logger  *slog.Logger

	// testingOnlyPace is for tests that cannot wait.
	testingOnlyPace pace
}

// Client reads and writes the shared store, and hears what other nodes write. It
// is safe for concurrent use.
type Client struct {
	redis   redis.UniversalClient
	codec   codec
	prefix  string
	timeout time.Duration
	pace    pace
	metrics *Metrics
	health  *health

	reads, writes *breaker
	outbox        chan message
	changes       chan Change

	ctx      context.Context // ended by Close
	cancel   context.CancelFunc
	underway sync.WaitGroup
}

// New makes a Client, which connects by itself and needs Close. That the store
// cannot be used is no error but a warning in the log.
func New(o Options) *Client {
	c := &Client{
		redis:   connect(o.Servers, o.Roots),
		codec:   codec{o.Key},
		prefix:  o.Prefix + ":",
		timeout: o.Timeout,
		pace:    o.testingOnlyPace,
		metrics: o.Metrics,
		health:  &health{logger: o.Logger, servers: o.Servers, metrics: o.Metrics},
		outbox:  make(chan message, maxWaiting),
		changes: make(chan Change),
	}
	if c.pace == (pace{}) {
		c.pace = usualPace()
	}
	c.reads = &breaker{tell: c.health.tell, pace: c.pace}
	c.writes = &breaker{tell: c.health.tell, pace: c.pace}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.underway.Go(c.deliver)
	c.underway.Go(c.listen)
	c.underway.Go(c.watch)
	return c
}

// Close writes what waits to be written, if that takes no more than a second,
// and ends the Client. After it nothing is known and every lease granted.
func (c *Client) Close() {
	c.cancel()
	c.underway.Wait()
	c.redis.Close() // nothing is left that could fail
	c.metrics.failing.Set(0)
}

// Changes are what nodes of the fleet tell, this one included, within moments. It
// must be read. One that was missed, because the store was away, is seen by a
// Get for its domain; a purge of every domain comes all the same.
func (c *Client) Changes() <-chan Change { return c.changes }

// errLeftAlone is for questions that are not asked.
var errLeftAlone = errors.New("the store is left alone after a failure")

// ask puts a question to the store, for the timeout at most, and files whether it
// could be read. redis.Nil is an answer.
func (c *Client) ask(ctx context.Context, question func(context.Context) error) error {
	if c.ctx.Err() != nil {
		return errClosed
	}
	t, ok := c.reads.begin()
	if !ok {
		return errLeftAlone
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := question(ctx)
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		c.reads.end(t, nil)
	case errors.Is(ctx.Err(), context.Canceled), c.ctx.Err() != nil:
		c.reads.abandon(t) // whoever asked has given up, or c is closed
	default:
		c.reads.end(t, err)
	}
	return err
}
