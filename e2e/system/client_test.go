package system

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"mta-sts-daemon/e2e/internal/namespace"
	"mta-sts-daemon/socketmap"
)

// client asks the daemon as a process of Postfix does: over one connection, and again over a
// new one if that breaks. It is not safe for concurrent use.
type client struct {
	network *namespace.Network
	address string            // of the daemon; "": socketmapAddr
	conn    *socketmap.Client // nil: none yet, or broken
	retried int               // how many lookups took a second connection
}

// lookup returns the answer for key. An error is a lost lookup. Like Postfix it does not try
// again if nobody listens.
func (c *client) lookup(key string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err = c.try(ctx, key)
	if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		c.retried++
		answer, err = c.try(ctx, key)
	}
	return answer, err
}

func (c *client) try(ctx context.Context, key string) (answer string, err error) {
	if c.conn == nil {
		if c.conn, err = dial(ctx, c.network, cmp.Or(c.address, socketmapAddr)); err != nil {
			c.conn = nil
			return "", err
		}
	}
	reply, err := c.conn.Lookup(ctx, "postfix", key)
	if err != nil {
		c.close()
		return "", err
	}
	return fmt.Sprintf("%s %s", reply.Status, reply.Data), nil
}

func (c *client) close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}

// dial connects to addr in a network.
func dial(ctx context.Context, n *namespace.Network, addr string) (conn *socketmap.Client, err error) {
	if cannot := n.Do(func() { conn, err = socketmap.Dial(ctx, "tcp", addr) }); cannot != nil {
		return nil, cannot
	}
	return conn, err
}

// checkLookup asks the daemon once.
func (v *server) checkLookup(t *testing.T, key, want string) {
	t.Helper()
	v.checkLookupAt(t, socketmapAddr, key, want)
}

// checkLookupAt asks the daemon once, at an address.
func (v *server) checkLookupAt(t *testing.T, address, key, want string) {
	t.Helper()
	c := &client{network: v.network, address: address}
	defer c.close()
	got, err := c.lookup(key)
	if err != nil {
		t.Fatalf("lookup of %s: %v", key, err)
	}
	if got != want {
		t.Fatalf("lookup of %s: %q, want %q", key, got, want)
	}
}

// load has the results of lookups without pause.
type load struct {
	mu       sync.Mutex // guards what follows
	answers  int
	retried  int
	longest  time.Duration
	lost     []string // errors and other answers
	answered chan struct{}
}

// underLoad runs f while some clients look up a domain without pause. All must
// get the answer that its policy gives.
func (v *server) underLoad(t *testing.T, f func(l *load)) *load {
	t.Helper()
	const clients = 4
	l := &load{answered: make(chan struct{})}
	stop := make(chan struct{})
	var asking sync.WaitGroup
	for range clients {
		asking.Go(func() { l.ask(&client{network: v.network}, stop) })
	}
	f(l)
	close(stop)
	asking.Wait()
	t.Logf("%d answers, %d at the second try, the longest after %v", l.answers, l.retried, l.longest.Round(time.Millisecond))
	if len(l.lost) > 0 {
		t.Errorf("%d lookups lost, the first: %s", len(l.lost), l.lost[0])
	}
	return l
}

// ask looks up with one client until stop is closed.
func (l *load) ask(c *client, stop <-chan struct{}) {
	defer c.close()
	pause := time.NewTicker(time.Millisecond) // leaves processor time for the machine
	defer pause.Stop()
	for {
		begun := time.Now()
		answer, err := c.lookup(string(known))
		l.note(time.Since(begun), answer, err)
		select {
		case l.answered <- struct{}{}:
		case <-pause.C:
		case <-stop:
			l.mu.Lock()
			l.retried += c.retried
			l.mu.Unlock()
			return
		}
	}
}

func (l *load) note(took time.Duration, answer string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.longest = max(l.longest, took)
	switch {
	case err != nil:
		l.lost = append(l.lost, err.Error())
	case answer != known.secure():
		l.lost = append(l.lost, answer)
	default:
		l.answers++
	}
}

// awaitAnswers waits until the clients have received some more replies.
func (l *load) awaitAnswers(t *testing.T) {
	t.Helper()
	tooLong := time.After(patience)
	for range 20 {
		select {
		case <-l.answered:
		case <-tooLong:
			t.Fatal("the daemon does not answer")
		}
	}
}
