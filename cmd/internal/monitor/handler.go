package monitor

import (
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// maxGathers is how many may read the metrics at once.
	maxGathers = 4
	// checkTimeout bounds the checks behind /healthz and /readyz.
	checkTimeout = 5 * time.Second
)

// Check finds out whether something is as it should be. The error says, in one
// line for the operator, what is not.
type Check func(context.Context) error

// Handler serves /metrics from g, and the outcomes of the checks: /healthz,
// which fails where only a restart helps, and /readyz, which fails while lookups
// are not answered.
func Handler(g prometheus.Gatherer, healthy, ready Check) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: maxGathers}))
	mux.Handle("GET /healthz", healthy)
	mux.Handle("GET /readyz", ready)
	return mux
}

// ServeHTTP answers 200 where the check succeeds and 503 with the reason where
// it does not.
func (c Check) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), checkTimeout, fmt.Errorf("not known within %v", checkTimeout))
	defer cancel()
	if err := c(ctx); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
