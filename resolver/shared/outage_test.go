package shared

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

const (
	warning = "Shared store cannot be used"
	notice  = "Shared store can be used again"
)

// While a server is down, lookups do not ask it, and there is one warning. Once it is
// back it has the policies that were put meanwhile.
func TestOutage(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program)
		a, b := join(t, s.url()), join(t, s.url())
		s.listening(t, 2)
		d := domain(t, "example.com")
		a.Put(d, fetched(t, "1", time.Hour))
		a.settle(t)

		s.kill()
		eventually(t, "the outage is noticed", func() bool { return a.log.count(warning) == 1 })
		for range 1000 {
			if v := a.Get(t.Context(), d); !cmp.Equal(v, Value{}) {
				t.Fatalf("Get = %+v", v)
			}
			if !a.Lease(t.Context(), d) {
				t.Fatal("a store that is down refuses a lease")
			}
		}
		a.wantSkips(t)
		a.Put(d, fetched(t, "2", time.Minute))

		s.run(t)
		eventually(t, "what was put during the outage is known", func() bool {
			v := b.Get(t.Context(), d)
			return v.Entry != nil && v.Entry.ID == "2"
		})
		eventually(t, "the recovery is logged", func() bool { return a.log.count(notice) == 1 })
		s.listening(t, 2)
		a.Put(d, fetched(t, "3", time.Second))
		isIt := func(c Change) bool { return c.Domain == d && c.Value.Entry != nil && c.Value.Entry.ID == "3" }
		eventually(t, "the other node receives a policy again", func() bool { return b.received(isIt) })
		if n := a.log.count(warning); n != 1 {
			t.Errorf("%d warnings:\n%s", n, a.log)
		}
	})
}

// A lookup waits for the store as long as Timeout says, and not again until the pause
// after the failure is over.
func TestTimeout(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		n := join(t, "redis://127.0.0.1:1", withTimeout(100*time.Millisecond)) // nobody listens there
		s := &shard{reads: &breaker{report: func(error) {}, pace: usualPace()}}
		silent := func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		}
		begin := time.Now()
		if err := n.ask(t.Context(), s, silent); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a store that does not answer: %v", err)
		}
		if waited := time.Since(begin); waited != n.timeout {
			t.Errorf("waited for %v, want %v", waited, n.timeout)
		}
		if err := n.ask(t.Context(), s, silent); err != errPaused {
			t.Errorf("after that: %v, want %v", err, errPaused)
		}
	})
}

// A store that does not answer is reported, and most lookups do not ask it.
func TestSilent(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	n := join(t, "redis://"+l.Addr().String(), withTimeout(20*time.Millisecond))
	eventually(t, "there is a warning", func() bool {
		n.Get(t.Context(), domain(t, "example.com"))
		return n.log.count(warning) == 1
	})
	if !strings.Contains(n.log.String(), "no answer in time") {
		t.Errorf("the warning does not say why:\n%s", n.log)
	}
	n.wantSkips(t)
}

// wantSkips waits until most reads have not asked the store.
func (n *node) wantSkips(t *testing.T) {
	t.Helper()
	eventually(t, "most reads do not ask the store", func() bool {
		n.Get(t.Context(), domain(t, "example.com"))
		return testutil.ToFloat64(n.metrics.reads.skipped) > testutil.ToFloat64(n.metrics.reads.failed)
	})
}

// A store that is full can be read.
func TestFull(t *testing.T) {
	t.Parallel()
	eachServer(t, func(t *testing.T, program []string) {
		t.Parallel()
		s := start(t, program, "--maxmemory-policy", "noeviction")
		a, b := join(t, s.url()), join(t, s.url())
		d, other := domain(t, "example.com"), domain(t, "example.org")
		a.Put(d, fetched(t, "1", time.Hour))
		a.settle(t)
		s.do(t, "CONFIG", "SET", "maxmemory", "1")
		a.Put(other, fetched(t, "2", time.Hour))
		eventually(t, "there is a warning", func() bool { return a.log.count(warning) == 1 })
		if !strings.Contains(a.log.String(), "OOM") {
			t.Errorf("the warning does not say why:\n%s", a.log)
		}
		if a.Get(t.Context(), d).Entry == nil {
			t.Error("a full store is not read")
		}
		if !a.Lease(t.Context(), d) || !b.Lease(t.Context(), d) {
			t.Error("a full store keeps a node from refreshing")
		}
		if a.Get(t.Context(), d).Entry == nil {
			t.Error("a full store is not read after a lease that it could not write")
		}
		s.do(t, "CONFIG", "SET", "maxmemory", "0")
		eventually(t, "what waited is written", func() bool { return b.Get(t.Context(), other).Entry != nil })
		eventually(t, "the recovery is logged", func() bool { return a.log.count(notice) == 1 })
	})
}

// The messages that wait are bounded: the oldest of its kind is dropped first, and its
// caller gets an error. Policies never displace a purge.
func TestOverflow(t *testing.T) {
	t.Parallel()
	s := start(t, anyServer(t))
	n := join(t, s.url())
	s.kill()
	d := domain(t, "example.com")
	refused := make(chan error, 1)
	purge := func(purge func(context.Context) (uint64, error)) {
		go func() {
			_, err := purge(t.Context())
			refused <- err
		}()
	}
	purge(n.PurgeAll)
	eventually(t, "the purge waits", func() bool { return n.waiting() == 1 })
	for range maxWaiting + 1 {
		n.Put(d, fetched(t, "1", time.Hour))
	}
	if n.waiting() != 1+maxWaiting {
		t.Errorf("%d wait, want %d", n.waiting(), 1+maxWaiting)
	}
	for i := range maxWaiting {
		purge(func(ctx context.Context) (uint64, error) { return n.Purge(ctx, d) })
		if want := min(i+2, maxWaiting) + maxWaiting; i%100 == 0 {
			eventually(t, "the purges wait", func() bool { return n.waiting() == want })
		}
	}
	if err := <-refused; err != errDropped {
		t.Errorf("the first purge: %v, want %v", err, errDropped)
	}
	n.Close()
	for range maxWaiting {
		if err := <-refused; err != errClosed {
			t.Fatalf("a purge that waited: %v, want %v", err, errClosed)
		}
	}
}
