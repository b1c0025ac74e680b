package monitor

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// maxGathers limits how often the metrics are gathered at the same time.
	maxGathers = 4
	// checkTimeout limits the checks behind /healthz and /readyz.
	checkTimeout = 5 * time.Second
)

// Check reports whether a part of the daemon works. The error describes the
// problem in one line.
type Check func(context.Context) error

// Handler serves /metrics from g, and the outcomes of the checks: /healthz,
// which fails if only a restart helps, and /readyz, which fails while lookups
// are not answered. page, if it is not nil, is served at /.
func Handler(g prometheus.Gatherer, healthy, ready Check, page *Page) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", inMemory(promhttp.HandlerFor(g, promhttp.HandlerOpts{MaxRequestsInFlight: maxGathers})))
	mux.Handle("GET /healthz", healthy)
	mux.Handle("GET /readyz", ready)
	if page != nil {
		mux.Handle("GET /{$}", page)
	}
	return mux
}

// inMemory makes h write its response into memory first. So a client that reads
// slowly, or not at all, takes none of the maxGathers from the others.
func inMemory(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r := &response{header: w.Header(), status: http.StatusOK}
		h.ServeHTTP(r, req)
		w.WriteHeader(r.status)
		r.body.WriteTo(w)
	})
}

// response is an http.ResponseWriter in memory.
type response struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (r *response) Header() http.Header            { return r.header }
func (r *response) WriteHeader(status int)         { r.status = status }
func (r *response) Write(text []byte) (int, error) { return r.body.Write(text) }

// ServeHTTP answers 200 if the check succeeds, and 503 with the error if it
// fails.
func (c Check) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeoutCause(r.Context(), checkTimeout, fmt.Errorf("not known within %v", checkTimeout))
	defer cancel()
	if err := c(ctx); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ok")
}
