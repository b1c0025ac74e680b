package shared

import (
	"log/slog"
	"sync"

	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/shared/storeurl"
)

// health logs once that the store cannot be used, for reading or for writing (it
// may be full), and once that it can be used again.
type health struct {
	logger  *slog.Logger
	servers storeurl.Servers
	metrics *Metrics

	mu      sync.Mutex
	failing int   // breakers that have reported a failure
	fault   error // the last of those, while one of them lasts
}

func (h *health) report(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.failing++
		h.fault = &Error{err}
		if h.failing == 1 {
			h.metrics.failing.Set(1)
			event.SharedStoreFailing.Log(h.logger, h.where(), event.Reason(h.fault))
		}
		return
	}
	h.failing--
	if h.failing == 0 {
		h.fault = nil
		h.metrics.failing.Set(0)
		event.SharedStoreRecovered.Log(h.logger, h.where())
	}
}

func (h *health) where() slog.Attr { return slog.String("servers", h.servers.String()) }

// Err returns the reason why the store cannot be used, an *Error, from the warning
// on; nil while it can be used. One master of a cluster that fails is enough.
func (c *Client) Err() error {
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	return c.health.fault
}
