package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

const (
	metricsAddr    = "127.0.0.1:9461"
	outcomesAddr   = "127.0.0.1:9462"
	prometheusAddr = "127.0.0.1:9090"

	// Where things are in Prometheus's root.
	prometheusConfig = "/etc/prometheus/prometheus.yml"
	prometheusRules  = "/etc/prometheus/mta-sts-daemon.rules.yml"
	prometheusTests  = "/etc/prometheus/mta-sts-daemon_test.yml"
)

// prometheusText has Prometheus look every second, so that the test need not
// wait.
const prometheusText = `
global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [` + prometheusRules + `]
scrape_configs:
  - job_name: mta-sts-daemon
    static_configs: [{targets: ["` + metricsAddr + `"]}]
  - job_name: mta-sts-outcomes
    static_configs: [{targets: ["` + outcomesAddr + `"]}]
`

// prometheus is a real one that watches the daemon.
type prometheus struct {
	*process
	root *root
}

// startPrometheus starts Prometheus with the alerts as they are shipped, and
// returns when it has looked at the daemon often enough for rates.
func startPrometheus(t *testing.T) *prometheus {
	t.Helper()
	r := newRoot(t, bookworm)
	r.write(t, prometheusConfig, prometheusText)
	r.write(t, prometheusRules, packaged(t, "prometheus/mta-sts-daemon.rules.yml"))
	r.write(t, prometheusTests, packaged(t, "prometheus/mta-sts-daemon_test.yml"))
	p := &prometheus{root: r, process: startProcess(t, r.command("/usr/bin/prometheus",
		"--config.file="+prometheusConfig, "--storage.tsdb.path=/var/lib/prometheus", "--web.listen-address="+prometheusAddr))}
	p.awaitListening(t, prometheusAddr)
	p.awaitQuery(t, `count_over_time(up{job="mta-sts-daemon"}[1m]) > 3`)
	return p
}

// packaged reads a file that the packages carry.
func packaged(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../packaging", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// ask asks Prometheus's HTTP API. What it warns of is an error as well.
func (p *prometheus) ask(t *testing.T, path string, args url.Values, data any) error {
	t.Helper()
	resp, err := http.Get("http://" + prometheusAddr + "/api/v1/" + path + "?" + args.Encode())
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	answer := struct {
		Error    string
		Warnings []string
		Data     any
	}{Data: data}
	switch err := json.NewDecoder(resp.Body).Decode(&answer); {
	case err != nil:
		return err
	case answer.Error != "" || len(answer.Warnings) > 0:
		return fmt.Errorf("%s %q", answer.Error, answer.Warnings)
	}
	return nil
}

// query returns how many time series an expression has now.
func (p *prometheus) query(t *testing.T, expr string) (series int, err error) {
	t.Helper()
	var data struct{ Result []any }
	err = p.ask(t, "query", url.Values{"query": {expr}}, &data)
	return len(data.Result), err
}

// awaitQuery waits until an expression has a time series.
func (p *prometheus) awaitQuery(t *testing.T, expr string) {
	t.Helper()
	tooLong := time.After(patience)
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for {
		n, err := p.query(t, expr)
		if err == nil && n > 0 {
			return
		}
		select {
		case <-again.C:
		case <-p.done:
			t.Fatalf("prometheus ended: %v", p.err)
		case <-tooLong:
			t.Fatalf("nothing for %s: %v", expr, err)
		}
	}
}
