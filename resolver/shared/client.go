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

// Options are what a Client needs to know. All but Roots, Key and Purges are required.
type Options struct {
	Servers Servers
	// Roots are the authorities that servers are verified against; nil means
	// the system's.
	Roots *x509.CertPool
	// Key authenticates what the nodes write; nil for none. All nodes must have
	// the same: values with another key count as absent.
	Key []byte
	// Prefix and a colon begin every key and the channel.
	Prefix string
	// Timeout bounds what Get and Lease wait for the store.
	Timeout time.Duration
	// Purges has the highest number of a purge that this node has seen, which
	// should last longer than the Client. If it is nil, the Client begins at 0.
	Purges  Purges
	Metrics *Metrics
	Logger  *slog.Logger

	// testingOnlyPace is for tests that cannot wait.
	testingOnlyPace pace
}

// Client reads and writes the shared store, and receives what other nodes write. It
// is safe for concurrent use.
type Client struct {
	redis   redis.UniversalClient
	codec   codec
	prefix  string
	timeout time.Duration
	purges  Purges
	pace    pace
	metrics *Metrics
	health  *health
	changes chan Change

	mu     sync.Mutex
	shards map[string]*shard // by address
	all    Value             // the last purge of everything that was read

	ctx      context.Context // ended by Close
	cancel   context.CancelFunc
	underway sync.WaitGroup
}

// New makes a Client, which connects by itself and needs Close. A store that cannot
// be used is no error; it causes a warning in the log.
func New(o Options) *Client {
	c := &Client{
		redis:   connect(o.Servers, o.Roots),
		codec:   codec{o.Key},
		prefix:  o.Prefix + ":",
		timeout: o.Timeout,
		purges:  o.Purges,
		pace:    o.testingOnlyPace,
		metrics: o.Metrics,
		health:  &health{logger: o.Logger, servers: o.Servers, metrics: o.Metrics},
		changes: make(chan Change),
		shards:  map[string]*shard{},
	}
	if c.purges == nil {
		c.purges = &inMemory{}
	}
	if c.pace == (pace{}) {
		c.pace = usualPace()
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.underway.Go(c.listen)
	c.underway.Go(c.watch)
	return c
}

// Close writes what waits to be written, if that takes no more than a second,
// and ends the Client. After it nothing is known and every lease granted.
func (c *Client) Close() {
	c.mu.Lock()
	c.cancel() // no shard begins after it
	c.mu.Unlock()
	c.underway.Wait()
	c.redis.Close() // nothing is left that could fail
	c.metrics.failing.Set(0)
}

// Changes returns what nodes of the fleet, this one included, publish; it comes
// within moments. It must be read. A change that was missed because the store was
// unavailable is seen by a Get for its domain; a purge of every domain comes all
// the same.
func (c *Client) Changes() <-chan Change { return c.changes }

// errLeftAlone is for questions that are not asked.
var errLeftAlone = errors.New("the store is left alone after a failure")

// ask asks a shard, for the timeout at most, and files whether it could be read.
// redis.Nil is an answer.
func (c *Client) ask(ctx context.Context, s *shard, question func(context.Context) error) error {
	if c.ctx.Err() != nil {
		return errClosed
	}
	t, ok := s.reads.begin()
	if !ok {
		return errLeftAlone
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	err := question(ctx)
	switch {
	case err == nil, errors.Is(err, redis.Nil):
		s.reads.end(t, nil)
	case errors.Is(ctx.Err(), context.Canceled), c.ctx.Err() != nil:
		s.reads.abandon(t) // the caller has given up, or c is closed
	default:
		s.reads.end(t, err)
	}
	return err
}
