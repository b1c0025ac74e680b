package shared

import (
	"context"
	"crypto/x509"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"mta-sts-daemon/resolver/shared/storeurl"
)

// Options are the parameters of a Client. All except Roots and Key are required.
type Options struct {
	Servers storeurl.Servers
	// Roots are the authorities that servers are verified against; nil means
	// the system's.
	Roots *x509.CertPool
	// Key authenticates the values of the nodes; nil for none. All nodes must have
	// the same: values with another key count as absent.
	Key []byte
	// Prefix and a colon begin every key and the channel.
	Prefix string
	// Timeout bounds what Get and Lease wait for the store.
	Timeout time.Duration
	// Purges keeps the highest number of a purge that this node has seen, also
	// beyond the life of the Client.
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

	mu     sync.Mutex        // guards what follows, and the fields that say so
	shards map[string]*shard // by address
	all    Value             // the last purge of all domains that was read

	ctx      context.Context // ended by Close
	cancel   context.CancelFunc
	underway sync.WaitGroup
}

// New makes a Client, which connects by itself and needs Close. A store that cannot
// be used is not an error; it causes a warning in the log.
func New(o Options) *Client {
	pace := o.testingOnlyPace
	if pace.steady == 0 {
		pace = usualPace()
	}
	c := &Client{
		redis:   connect(o.Servers, o.Roots, pace),
		codec:   codec{o.Key},
		prefix:  o.Prefix + ":",
		timeout: o.Timeout,
		purges:  o.Purges,
		pace:    pace,
		metrics: o.Metrics,
		health:  &health{logger: o.Logger, servers: o.Servers, metrics: o.Metrics},
		changes: make(chan Change),
		shards:  map[string]*shard{},
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.underway.Go(c.listen)
	c.underway.Go(c.watch)
	return c
}

// Close writes the values that wait, if that takes no more than a second, and ends the
// Client. After that Get returns nothing and Lease grants every lease.
func (c *Client) Close() {
	c.mu.Lock()
	c.cancel() // no shard begins after it
	c.mu.Unlock()
	c.underway.Wait()
	c.redis.Close() // nothing is left that could fail
	c.metrics.failing.Set(0)
}

// Changes returns the channel with the changes that all nodes publish, including this
// one. The caller must keep reading it. A change of a domain that was missed because the
// store was unavailable is not sent later, but Get returns it. A missed purge of all
// domains is sent when the store is available again.
func (c *Client) Changes() <-chan Change { return c.changes }

// errPaused is returned by ask while the shard's breaker is open or probing.
var errPaused = errors.New("the store is not asked for a while after a failure")

// ask calls question, for the timeout at most, and updates the breaker of the shard's
// reads with the outcome. redis.Nil counts as an answer, not as a failure.
func (c *Client) ask(ctx context.Context, s *shard, question func(context.Context) error) error {
	if c.ctx.Err() != nil {
		return errClosed
	}
	t, ok := s.reads.begin()
	if !ok {
		return errPaused
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
