package shared

import (
	"context"
	"log/slog"
	"sync"

	"mta-sts-daemon/resolver/event"
)

// health tells once that the store cannot be used, be it for reading or for
// writing (it may be full), and once that it can again.
type health struct {
	logger  *slog.Logger
	servers Servers
	metrics *Metrics

	mu      sync.Mutex
	failing int // breakers that have told of a failure
}

func (h *health) tell(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.failing++
		if h.failing == 1 {
			h.metrics.failing.Set(1)
			h.log(slog.LevelWarn, "Shared store cannot be used, policies are found without it", event.Reason(&Error{err}))
		}
		return
	}
	h.failing--
	if h.failing == 0 {
		h.metrics.failing.Set(0)
		h.log(event.LevelNotice, "Shared store can be used again")
	}
}

func (h *health) log(level slog.Level, message string, attrs ...slog.Attr) {
	attrs = append(attrs, slog.String("servers", h.servers.String()))
	h.logger.LogAttrs(context.Background(), level, message, attrs...)
}
