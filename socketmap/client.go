package socketmap

import (
	"context"
	"fmt"
	"net"
	"time"
)

// Client sends one lookup after the other to a socketmap server, as Postfix does.
// It is not safe for concurrent use.
type Client struct {
	nc  net.Conn
	out []byte
	buf []byte
}

// Dial connects to the server at a "tcp" or "unix" address.
func Dial(ctx context.Context, network, address string) (*Client, error) {
	var dialer net.Dialer
	nc, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &Client{nc: nc}, nil
}

// Close ends the connection.
func (c *Client) Close() error { return c.nc.Close() }

// Lookup looks key up in the named map. After an error the Client must be closed.
// The reply's data is valid until the next Lookup.
func (c *Client) Lookup(ctx context.Context, name, key string) (Reply, error) {
	// The end of ctx interrupts Read and Write.
	stop := context.AfterFunc(ctx, func() { c.nc.SetDeadline(time.Unix(1, 0)) })
	defer stop()

	c.out = appendRequest(c.out[:0], name, key)
	if _, err := c.nc.Write(c.out); err != nil {
		return Reply{}, c.failed(ctx, err)
	}
	c.buf = c.buf[:0]
	for {
		payload, n, err := netstring(c.buf, maxReply)
		if err != nil {
			return Reply{}, err
		}
		if n > 0 {
			return parseReply(payload)
		}
		if c.buf, err = c.read(c.buf); err != nil {
			return Reply{}, c.failed(ctx, err)
		}
	}
}

// read appends the next bytes to buf.
func (c *Client) read(buf []byte) ([]byte, error) {
	if len(buf) == cap(buf) {
		buf = append(buf, make([]byte, max(minBuffer, len(buf)))...)[:len(buf)]
	}
	n, err := c.nc.Read(buf[len(buf):cap(buf)])
	if n > 0 {
		err = nil
	}
	return buf[:len(buf)+n], err
}

func (c *Client) failed(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	return fmt.Errorf("lookup at %v: %w", c.nc.RemoteAddr(), err)
}
