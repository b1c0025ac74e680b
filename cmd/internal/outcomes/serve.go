package outcomes

import (
	"context"
	"log/slog"
	"net"
	"net/http"

	"mta-sts-daemon/cmd/internal/webconns"
)

// maxConnections limits those of the metrics listener.
const maxConnections = 16

// Serve answers HTTP requests on a listener until ctx is done.
func Serve(ctx context.Context, l net.Listener, h http.Handler, logger *slog.Logger) {
	conns := webconns.New(maxConnections)
	server := conns.Server(h, logger)
	stop := context.AfterFunc(ctx, func() { server.Close() })
	defer stop()
	server.Serve(conns.Listener(l))
}
