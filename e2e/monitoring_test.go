package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
)

const (
	// watched is the setting for a daemon that Prometheus can ask.
	watched = `metrics: {listen: "` + metricsAddr + `"}`
	// storeAway has metrics of a shared store, and nothing at its address.
	storeAway = `cache: {file: "off", shared: {url: "redis://127.0.0.1:1"}}`
)

// The alerts and the dashboard as they are shipped find in the daemon's own
// metrics what they look for.
func TestMonitoring(t *testing.T) {
	w := newBareWorld(t)
	d := startDaemon(t, w, askAuthority, storeAway, watched)
	w.publish("good.test", enforce("good.test"))
	w.zone.Add(`_mta-sts.two.test. 300 IN TXT "v=STSv1; id=1"`, `_mta-sts.two.test. 300 IN TXT "v=STSv1; id=2"`,
		`_mta-sts.hostile.test. 300 IN TXT "v=STSv1; id=<b>"`)
	for _, domain := range []string{"good.test", "good.test", "absent.test", "two.test", "hostile.test"} {
		if _, err := askOnce(domain); err != nil {
			t.Fatal(err)
		}
	}
	d.startOutcomes(t)
	p := startPrometheus(t)

	t.Run("alerts", func(t *testing.T) { checkAlerts(t, p) })
	t.Run("alerts in their tests", func(t *testing.T) {
		run(t, p.root.command("/usr/bin/promtool", "check", "rules", prometheusRules))
		run(t, p.root.command("/usr/bin/promtool", "test", "rules", prometheusTests))
	})
	t.Run("metrics", func(t *testing.T) {
		check := p.root.command("/usr/bin/promtool", "check", "metrics")
		check.Stdin = strings.NewReader(fetch(t, "http://"+metricsAddr+"/metrics", http.StatusOK))
		if said := run(t, check); said != "" {
			t.Error(said)
		}
	})
	t.Run("dashboard", func(t *testing.T) { checkDashboard(t, p) })
	t.Run("shared store away", func(t *testing.T) {
		p.awaitQuery(t, `ALERTS{alertname="MTASTSSharedStoreFailing", alertstate="pending", severity="warning"}`)
	})
	t.Run("configuration refused", func(t *testing.T) {
		p.awaitQuery(t, "mta_sts_config_last_reload_successful == 1")
		d.configure(t, askAuthority, storeAway, watched, "testing: sometimes")
		if err := d.cmd.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		p.awaitQuery(t, `ALERTS{alertname="MTASTSConfigRefused", alertstate="pending", severity="warning"}`)
		d.reload(t, askAuthority, storeAway, watched)
		p.awaitQuery(t, "mta_sts_config_last_reload_successful == 1")
	})
	t.Run("status page", func(t *testing.T) {
		const page = "http://" + metricsAddr + "/"
		fetch(t, page, http.StatusNotFound)
		d.reload(t, askAuthority, storeAway, `metrics: {listen: "`+metricsAddr+`", page: true}`)
		text := fetch(t, page, http.StatusOK)
		for _, want := range []string{"Shared store", "connection refused", "two.test", "there are 2 of them", "&lt;b&gt;"} {
			if !strings.Contains(text, want) {
				t.Errorf("no %q in %s", want, text)
			}
		}
		d.reload(t, askAuthority, storeAway, watched)
		fetch(t, page, http.StatusNotFound)
	})
	t.Run("outcomes", func(t *testing.T) {
		p.awaitQuery(t, `mta_sts_deliveries_total{policy="sts", tls="verified", status="sent"} == 1`)
	})
	t.Run("daemon down", func(t *testing.T) {
		p.awaitQuery(t, `up{job="mta-sts-daemon"} == 1`)
		d.kill(t)
		p.awaitQuery(t, `ALERTS{alertname="MTASTSDaemonDown", alertstate="pending", severity="critical"}`)
	})
}

// comparison is a part of an alert's expression. Without all of these it has a value
// whether or not all is well.
var comparison = regexp.MustCompile(`\s*(==|>=|>) [0-9.]+`)

func checkAlerts(t *testing.T, p *prometheus) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Query, Health, LastError string }
		}
	}
	if err := p.ask(t, "rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	alerts := 0
	for _, group := range data.Groups {
		for _, rule := range group.Rules {
			alerts++
			expr := comparison.ReplaceAllString(rule.Query, "")
			if expr == rule.Query {
				t.Errorf("%s compares with nothing: %s", rule.Name, rule.Query)
			}
			n, err := p.query(t, expr)
			if err != nil || n == 0 || rule.Health != "ok" {
				t.Errorf("%s: %d time series, %v; health %s %s: %s", rule.Name, n, err, rule.Health, rule.LastError, expr)
			}
		}
	}
	if alerts == 0 {
		t.Error("no alerts")
	}
}

// panel is a panel of the dashboard.
type panel struct {
	ID      int
	Type    string
	Title   string
	GridPos struct{ H, W, X, Y float64 }
	Targets []struct{ Expr, LegendFormat string }

	FieldConfig struct {
		Defaults struct {
			Unit   string
			Max    float64
			Custom struct{ Stacking struct{ Mode string } }
		}
	}
}

// dashboard returns the panels, with what Grafana puts in place of its variables.
func dashboard(t *testing.T) []panel {
	t.Helper()
	var board struct{ Panels []panel }
	text := strings.NewReplacer("$job", "mta-sts-daemon", "$instance", ".*", "$__rate_interval", "10s").Replace(packaged(t, "grafana/mta-sts-daemon.json"))
	if err := json.Unmarshal([]byte(text), &board); err != nil {
		t.Fatal(err)
	}
	return board.Panels
}

func checkDashboard(t *testing.T, p *prometheus) {
	queries, titles := 0, map[int]string{}
	for _, panel := range dashboard(t) {
		if other, ok := titles[panel.ID]; ok {
			t.Errorf("%q and %q have the same id", other, panel.Title)
		}
		titles[panel.ID] = panel.Title
		if panel.Type != "row" && len(panel.Targets) == 0 {
			t.Errorf("%q asks for nothing", panel.Title)
		}
		for _, target := range panel.Targets {
			queries++
			if n, err := p.query(t, target.Expr); err != nil || n == 0 {
				t.Errorf("%q: %d time series, %v: %s", panel.Title, n, err, target.Expr)
			}
		}
	}
	if queries == 0 {
		t.Error("no queries")
	}
}

// fetch returns what an HTTP server answers, which must be with that status.
func fetch(t *testing.T, url string, status int) string {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != status {
		t.Errorf("%s: %s, %v, want %d: %s", url, resp.Status, err, status, text)
	}
	return string(text)
}

// startOutcomes starts the process that follows Postfix's log, and has it count a
// delivery.
func (d *daemon) startOutcomes(t *testing.T) {
	t.Helper()
	const name = "/var/log/mail.log"
	d.root.write(t, name, "")
	o := startProcess(t, d.root.command(daemonPath, "outcomes", "--config", daemonConfig, "--follow", "--metrics", outcomesAddr, name))
	o.stopLater(t)
	o.awaitListening(t, outcomesAddr)
	ready, err := http.Get("http://" + outcomesAddr + "/readyz") // answered once it follows
	if err != nil {
		t.Fatal(err)
	}
	ready.Body.Close()
	log, err := os.OpenFile(filepath.Join(d.root.dir, name), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	const line = "Nov 28 17:49:58 mail postfix/smtp[1]: Q1: to=<a@good.test>, relay=mx.good.test[127.0.1.1]:25, delay=1, delays=0/0/0/1, tls=secure, dsn=2.0.0, status=sent (250 ok)\n"
	if _, err := log.WriteString(line); err != nil {
		t.Fatal(err)
	}
}
