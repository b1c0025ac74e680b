package e2e

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"mta-sts-daemon/socketmap"
)

// defaultMap is the socketmap's name that Postfix asks for in these tests.
const defaultMap = "postfix"

// client asks the daemon as a process of Postfix does: over one connection,
// and once more over a new one when that breaks. It is not safe for concurrent
// use.
type client struct {
	addr     string            // of the daemon; empty: daemonAddr
	mapName  string            // empty: defaultMap
	patience time.Duration     // with both connections together; 0: patience
	conn     *socketmap.Client // nil: none yet, or broken
	retried  int               // how many lookups took a second connection
}

// lookup returns the answer for key. An error is ECONNREFUSED where nobody
// listens; any other is a lookup lost.
func (c *client) lookup(key string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(c.patience, patience))
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
		if c.conn, err = socketmap.Dial(ctx, "tcp", cmp.Or(c.addr, daemonAddr)); err != nil {
			c.conn = nil
			return "", err
		}
	}
	reply, err := c.conn.Lookup(ctx, cmp.Or(c.mapName, defaultMap), key)
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

// load has the results of lookups without pause.
type load struct {
	answers, refused, retried int
	lost                      []string // errors and other answers
}

// lookUpUntil asks for key until stop is closed; want is the only right answer.
// It sends to answered after each, if somebody receives.
func lookUpUntil(stop <-chan struct{}, key, want string, answered chan<- struct{}) (l load) {
	c := &client{}
	defer c.close()
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		answer, err := c.lookup(key)
		l.retried = c.retried
		switch {
		case errors.Is(err, syscall.ECONNREFUSED):
			l.refused++
			<-again.C
		case err != nil:
			l.lost = append(l.lost, err.Error())
		case answer != want:
			l.lost = append(l.lost, answer)
		default:
			l.answers++
		}
		select {
		case <-stop:
			return l
		default:
		}
		if err == nil {
			select {
			case answered <- struct{}{}:
			default:
			}
		}
	}
}
