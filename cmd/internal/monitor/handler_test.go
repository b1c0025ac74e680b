package monitor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mta-sts-daemon/cmd/internal/monitor"
)

func TestHandler(t *testing.T) {
	t.Parallel()
	m := monitor.NewMetrics("1.2.3")
	well := func(context.Context) error { return nil }
	stuck := func(context.Context) error { return errors.New("the policy file cannot be read") }
	for _, tc := range []struct {
		method, path   string
		healthy, ready monitor.Check
		status         int
		body           string // the beginning of a line
	}{
		{"GET", "/metrics", well, well, 200, `mta_sts_build_info{goversion="go`},
		{"GET", "/metrics", stuck, stuck, 200, "mta_sts_config_last_reload_successful 1"},
		{"GET", "/metrics", well, well, 200, "go_goroutines "},
		{"GET", "/metrics", well, well, 200, "process_open_fds "},
		{"GET", "/healthz", well, stuck, 200, "ok"},
		{"GET", "/healthz", stuck, well, 503, "the policy file cannot be read"},
		{"GET", "/readyz", stuck, well, 200, "ok"},
		{"GET", "/readyz", well, stuck, 503, "the policy file cannot be read"},
		{"HEAD", "/healthz", well, well, 200, ""},
		{"POST", "/healthz", well, well, 405, ""},
		{"GET", "/", well, well, 404, ""},
		{"GET", "/debug/pprof/", well, well, 404, ""},
	} {
		server := httptest.NewServer(monitor.Handler(m.Registry, tc.healthy, tc.ready, nil))
		status, body := ask(t, tc.method, server.URL+tc.path)
		if status != tc.status || !strings.Contains("\n"+body, "\n"+tc.body) {
			t.Errorf("%s %s: %d %q, want %d %q", tc.method, tc.path, status, body, tc.status, tc.body)
		}
		server.Close()
	}
}

// A check that hangs is one that fails.
func TestHandlerGivesCheckATimeLimit(t *testing.T) {
	t.Parallel()
	limited := monitor.Check(func(ctx context.Context) error {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("the check may take for ever")
		}
		return context.Cause(ctx)
	})
	server := httptest.NewServer(limited)
	defer server.Close()
	if status, _ := ask(t, "GET", server.URL); status != 200 {
		t.Errorf("status %d", status)
	}
}

func TestReloaded(t *testing.T) {
	t.Parallel()
	m := monitor.NewMetrics("1.2.3")
	server := httptest.NewServer(monitor.Handler(m.Registry, nil, nil, nil))
	defer server.Close()
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errors.New("no such file"), "mta_sts_config_last_reload_successful 0\n"},
		{nil, "mta_sts_config_last_reload_successful 1\n"},
	} {
		m.Reloaded(tc.err)
		if _, body := ask(t, "GET", server.URL+"/metrics"); !strings.Contains(body, tc.want) {
			t.Errorf("after %v: no %q", tc.err, tc.want)
		}
	}
}

func ask(t *testing.T, method, url string) (status int, body string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

// many is a collector whose metrics are larger than the buffers of a socket.
type many struct{}

func (many) Describe(chan<- *prometheus.Desc) {}

func (many) Collect(metrics chan<- prometheus.Metric) {
	for i := range 10_000 {
		d := prometheus.NewDesc(fmt.Sprintf("many_%d", i), strings.Repeat("x", 100), nil, nil)
		metrics <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, 1)
	}
}

// Clients that ask for the metrics and read nothing keep no other from them.
func TestMetricsOfSlowReaders(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	registry.MustRegister(many{})
	path := filepath.Join(t.TempDir(), "socket")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: monitor.Handler(registry, nil, nil, nil)}
	go server.Serve(l)
	defer server.Close()
	get := func() *bufio.Reader {
		c, err := net.Dial("unix", path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
		return bufio.NewReader(c)
	}
	for range 10 { // one after the other, because few may gather at the same time
		if line, err := get().ReadString('\n'); err != nil || line != "HTTP/1.1 200 OK\r\n" {
			t.Fatalf("answer %q, %v", line, err)
		}
	}
}
