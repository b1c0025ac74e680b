package admin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"mta-sts-daemon/socketmap"
)

// ErrNotRunning says that nobody listens on the control socket.
var ErrNotRunning = errors.New("the daemon is not running, or its control socket is elsewhere (admin.socket)")

// ErrSilent says that a daemon has the control socket and acknowledges no request:
// it is stopped, or so busy that it answers no lookup either.
var ErrSilent = errors.New("does not answer")

// ErrNotPermitted says that the control socket is another user's.
var ErrNotPermitted = errors.New("the control socket is not yours to use: ask as root or as the daemon's user")

// ErrUnknown says that the daemon knows nothing of a domain.
var ErrUnknown = errors.New("not known to the daemon")

const (
	// maxConns limits the connections of one client. The daemon serves more, so that
	// a command is acknowledged while others ask much at once.
	maxConns = 32
	// acknowledgeLimit is how long the daemon may take to acknowledge a request. It
	// takes less than a millisecond.
	acknowledgeLimit = 5 * time.Second
)

// Client asks a running daemon. Its errors are ErrNotRunning, ErrSilent,
// ErrNotPermitted, ErrNotDomain or ErrUnknown, wrapped, or the daemon's own.
type Client struct {
	path string
	http http.Client
}

// NewClient returns a Client of the control socket at path. configError is why the
// configuration, which may name another path, could not be read; nil if it was read.
func NewClient(path string, configError error) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		c, err := d.DialContext(ctx, "unix", path)
		if err != nil {
			return nil, dialError(path, configError, err)
		}
		return c, nil
	}
	return &Client{path, http.Client{
		Transport: &http.Transport{DialContext: dial, MaxIdleConnsPerHost: maxConns, MaxConnsPerHost: maxConns},
		// A path that would have to be cleaned names no domain.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func dialError(path string, configError, err error) error {
	switch {
	case (errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)) && configError != nil:
		return fmt.Errorf("%w: nobody answers at %s. The configuration may name another socket, but is refused: %w", ErrNotRunning, path, configError)
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: nobody answers at %s", ErrNotRunning, path)
	case errors.Is(err, syscall.EAGAIN): // it accepts no connections, and as many as it may have wait
		return silent(0)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("%s: %w", path, ErrNotPermitted)
	}
	return err
}

// Status asks how the daemon fares.
func (c *Client) Status(ctx context.Context) (s Status, err error) {
	return s, c.ask(ctx, http.MethodGet, "/status", &s)
}

// Health returns nil if the daemon can answer lookups.
func (c *Client) Health(ctx context.Context) error {
	return c.ask(ctx, http.MethodGet, "/health", nil)
}

// Reload puts the configuration file in force. The error says why the daemon
// refused it.
func (c *Client) Reload(ctx context.Context) (r Reloaded, err error) {
	return r, c.ask(ctx, http.MethodPost, "/reload", &r)
}

// Domain returns the daemon's knowledge of a domain; ErrUnknown if it has none.
func (c *Client) Domain(ctx context.Context, domain string) (d Domain, err error) {
	return d, c.askOf(ctx, http.MethodGet, "/policies/", domain, "", &d)
}

// Refresh has the domain's policy fetched now.
func (c *Client) Refresh(ctx context.Context, domain string) (d Domain, err error) {
	return d, c.askOf(ctx, http.MethodPost, "/policies/", domain, "/refresh", &d)
}

// Purge removes a domain.
func (c *Client) Purge(ctx context.Context, domain string) error {
	return c.askOf(ctx, http.MethodDelete, "/policies/", domain, "", nil)
}

// PurgeAll removes every domain, and returns how many had a policy.
func (c *Client) PurgeAll(ctx context.Context) (p Purged, err error) {
	return p, c.ask(ctx, http.MethodPost, "/purge-all", &p)
}

// Lookup looks a next hop up by a map name, as Postfix does.
func (c *Client) Lookup(ctx context.Context, name socketmap.MapName, key string) (l Lookup, err error) {
	query := url.Values{"map": {name.Name}, "tcp": {strconv.FormatBool(name.TCP)}}
	return l, c.askOf(ctx, http.MethodPost, "/lookups/", key, "?"+query.Encode(), &l)
}

// Changes returns what changed since then.
func (c *Client) Changes(ctx context.Context, since time.Time) (h History, err error) {
	return h, c.ask(ctx, http.MethodGet, "/changes?since="+url.QueryEscape(since.UTC().Format(time.RFC3339)), &h)
}

// Policies calls each with every domain that has a policy or trouble, in no order,
// until that fails.
func (c *Client) Policies(ctx context.Context, each func(Listed) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := c.do(ctx, cancel, http.MethodGet, "/policies")
	if err != nil {
		return err
	}
	defer body.Close()
	for in := json.NewDecoder(body); ; {
		var p Listed
		if err := in.Decode(&p); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("the daemon's answer broke off: %w", err)
		}
		if err := each(p); err != nil {
			return err
		}
	}
}

// askOf asks of a domain or next hop, whose place in the path is between before
// and after. What names none is not sent.
func (c *Client) askOf(ctx context.Context, method, before, key, after string, place any) error {
	if _, err := parseKey(key); err != nil {
		return err
	}
	return c.ask(ctx, method, before+url.PathEscape(key)+after, place)
}

// ask decodes the answer into place, unless that is nil.
func (c *Client) ask(ctx context.Context, method, path string, place any) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := c.do(ctx, cancel, method, path)
	if err != nil {
		return err
	}
	defer body.Close()
	if place == nil {
		return nil
	}
	if err := json.NewDecoder(body).Decode(place); err != nil {
		return fmt.Errorf("the daemon's answer cannot be read: %w", err)
	}
	return nil
}

// do makes a request and returns the body of its answer. It cancels ctx when the
// daemon does not acknowledge the request in time.
func (c *Client) do(ctx context.Context, cancel context.CancelCauseFunc, method, path string) (io.ReadCloser, error) {
	var conn net.Conn
	limit := time.AfterFunc(math.MaxInt64, func() { cancel(silent(peerPID(conn))) })
	defer limit.Stop()
	trace := httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(got httptrace.GotConnInfo) {
			conn = got.Conn
			limit.Reset(acknowledgeLimit)
		},
		GotFirstResponseByte: func() { limit.Stop() },
	})
	req, err := http.NewRequestWithContext(trace, method, "http://daemon"+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return nil, cause
	}
	if err != nil {
		if inner, ok := errors.AsType[*url.Error](err); ok {
			err = inner.Err // its address says nothing to an operator
		}
		if !Unreachable(err) {
			err = fmt.Errorf("%s gives no answer (%w): is it another program's socket, or has the daemon ended?", c.path, err)
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	var failed Error
	switch {
	case json.NewDecoder(resp.Body).Decode(&failed) != nil:
		return nil, fmt.Errorf("the daemon answered %s to %s %s: is it of another version?", resp.Status, method, path)
	case resp.StatusCode == http.StatusNotFound:
		return nil, fmt.Errorf("%w: %s", ErrUnknown, failed.Error)
	default:
		return nil, errors.New(failed.Error)
	}
}

// Unreachable reports whether err says that the daemon could not be asked.
func Unreachable(err error) bool {
	return errors.Is(err, ErrNotRunning) || errors.Is(err, ErrSilent) || errors.Is(err, ErrNotPermitted)
}

// silent is ErrSilent with the process that is to blame; 0 if it is not known.
func silent(pid int) error {
	if pid == 0 {
		return fmt.Errorf("the daemon %w", ErrSilent)
	}
	return fmt.Errorf("the daemon (pid %d) %w", pid, ErrSilent)
}
