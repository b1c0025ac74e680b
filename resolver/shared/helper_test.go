package shared

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/shared/storeurl"
)

// longTimeout is one that a busy machine does not exceed.
const longTimeout = 20 * time.Second

func domain(tb testing.TB, name string) mtasts.Domain {
	tb.Helper()
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func policy(tb testing.TB, text string) mtasts.Policy {
	tb.Helper()
	p, err := mtasts.ParsePolicy(text)
	if err != nil {
		tb.Fatal(err)
	}
	return p
}

const enforced = "version: STSv1\r\nmode: enforce\r\nmx: mx.example\r\nmax_age: 86400\r\n"

// fetched returns an entry that was fetched so long ago.
func fetched(tb testing.TB, id string, ago time.Duration) Entry {
	tb.Helper()
	at := time.Now().Add(-ago).Truncate(time.Second).UTC()
	return Entry{ID: id, Policy: policy(tb, enforced), Fetched: at, Recheck: at.Add(time.Hour)}
}

// journal is a log that a test reads.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(b []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(b)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

func (j *journal) count(words string) int { return strings.Count(j.String(), words) }

// node is a Client, the changes that it has received and the lines that it has logged.
type node struct {
	*Client
	log *journal

	mu      sync.Mutex // guards what follows
	changes []Change
}

// join makes a node that uses the store at url.
func join(t *testing.T, url string, options ...func(*Options)) *node {
	t.Helper()
	servers, err := storeurl.Parse(url)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{log: &journal{}}
	o := Options{
		Servers: servers,
		Prefix:  "mta-sts",
		Timeout: longTimeout,
		Purges:  &inMemory{},
		Metrics: NewMetrics(nil),
		Logger:  slog.New(slog.NewTextHandler(n.log, nil)),

		testingOnlyPace: pace{
			connecting: longTimeout, attempt: longTimeout,
			minPause: 50 * time.Millisecond, maxPause: 500 * time.Millisecond, steady: time.Second,
		},
	}
	for _, option := range options {
		option(&o)
	}
	n.Client = New(o)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		n.collect()
	}()
	t.Cleanup(func() {
		n.Close()
		<-ended
	})
	return n
}

func (n *node) collect() {
	for {
		select {
		case change := <-n.Changes():
			n.mu.Lock()
			n.changes = append(n.changes, change)
			n.mu.Unlock()
		case <-n.ctx.Done():
			return
		}
	}
}

// received reports whether the node has received a change for which ok returns true.
func (n *node) received(ok func(Change) bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, change := range n.changes {
		if ok(change) {
			return true
		}
	}
	return false
}

// listening waits until so many nodes have subscribed.
func (s *server) listening(t *testing.T, nodes int) {
	t.Helper()
	eventually(t, "all nodes listen", func() bool {
		return s.admin.PubSubNumSub(t.Context(), "mta-sts:changes").Val()["mta-sts:changes"] == int64(nodes)
	})
}

func withKey(key string) func(*Options) { return func(o *Options) { o.Key = []byte(key) } }

func withTimeout(d time.Duration) func(*Options) { return func(o *Options) { o.Timeout = d } }

// inMemory is Purges for a test.
type inMemory struct{ number atomic.Uint64 }

func (m *inMemory) Purges() uint64 { return m.number.Load() }

func (m *inMemory) RaisePurges(number uint64) {
	for {
		seen := m.number.Load()
		if number <= seen || m.number.CompareAndSwap(seen, number) {
			return
		}
	}
}
