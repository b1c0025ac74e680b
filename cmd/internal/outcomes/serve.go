package outcomes

import (
	"context"
	"log/slog"
	"net"
	"net/http"
	"time"

	"golang.org/x/net/netutil"
)

// Limits of the metrics listener, whoever reaches it.
const (
	maxConnections = 16
	requestTimeout = 10 * time.Second
	maxHeader      = 16 << 10
)

// Serve answers HTTP requests on a listener until ctx is done.
func Serve(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger) {
	server := &http.Server{
		Handler:        h,
		ReadTimeout:    requestTimeout,
		WriteTimeout:   requestTimeout,
		IdleTimeout:    requestTimeout,
		MaxHeaderBytes: maxHeader,
		ErrorLog:       slog.NewLogLogger(logger.Handler(), slog.LevelDebug),
	}
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	server.Serve(netutil.LimitListener(l, maxConnections))
}
