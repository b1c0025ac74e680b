// Package mapclient asks a socketmap server as Postfix does, once or under load, for
// end-to-end tests.
package mapclient

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"syscall"
	"time"

	"mta-sts-daemon/e2e/internal/namespace"
	"mta-sts-daemon/socketmap"
)

// DefaultMap is the map that main.cf names in most tests.
const DefaultMap = "postfix"

const defaultTimeout = time.Minute // Postfix waits for 100 s

// Client asks the daemon as a process of Postfix does: over one connection, and again over a
// new one if that breaks. It is not safe for concurrent use.
type Client struct {
	Address string             // TCP, of the daemon
	Network *namespace.Network // nil: that of this process
	Map     string             // the map's name; "": DefaultMap
	Timeout time.Duration      // of a lookup, with both connections; 0: a minute
	Life    int                // lookups until it opens another connection; 0: for ever
	Retried int                // how many lookups took a second connection

	asked int               // lookups on conn
	conn  *socketmap.Client // nil: none yet, or broken
}

// Lookup returns the answer for key, status and data. An error means that the lookup is lost,
// except ECONNREFUSED: nobody listens.
func (c *Client) Lookup(key string) (answer string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), cmp.Or(c.Timeout, defaultTimeout))
	defer cancel()
	if c.Life > 0 && c.asked >= c.Life {
		c.Close()
	}
	answer, err = c.try(ctx, key)
	if err != nil && !errors.Is(err, syscall.ECONNREFUSED) {
		c.Retried++
		answer, err = c.try(ctx, key)
	}
	return answer, err
}

func (c *Client) try(ctx context.Context, key string) (answer string, err error) {
	if c.conn == nil {
		if c.conn, err = c.dial(ctx); err != nil {
			return "", err
		}
		c.asked = 0
	}
	c.asked++
	reply, err := c.conn.Lookup(ctx, cmp.Or(c.Map, DefaultMap), key)
	if err != nil {
		c.Close()
		return "", err
	}
	return fmt.Sprintf("%s %s", reply.Status, reply.Data), nil
}

func (c *Client) dial(ctx context.Context) (conn *socketmap.Client, err error) {
	connect := func() { conn, err = socketmap.Dial(ctx, "tcp", c.Address) }
	if c.Network == nil {
		connect()
		return conn, err
	}
	if cannot := c.Network.Do(connect); cannot != nil {
		return nil, cannot
	}
	return conn, err
}

// Close ends the connection. The next Lookup opens another.
func (c *Client) Close() {
	if c.conn != nil {
		c.conn.Close()
		c.conn = nil
	}
}
