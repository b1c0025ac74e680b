package daemon

import (
	"context"
	"log/slog"
	"net"
	"os"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/monitor"
	"mta-sts-daemon/resolver/event"
)

// controls are what operators may ask of the daemon.
func (d *daemon) controls() admin.Controls {
	return admin.Controls{
		Status:    d.status,
		Health:    d.ready,
		Reload:    d.askReload,
		Resolver:  d.resolver,
		ReplyText: d.handler.ReplyText,
		TCPTable:  len(d.listens.TCPTable) > 0,
	}
}

// newPage returns the status page, which is off.
func (d *daemon) newPage() *monitor.Page {
	lookups := prometheus.NewRegistry() // of the lookups alone: they are gathered every minute
	lookups.MustRegister(d.handler.Lookups())
	return monitor.NewPage(lookups, d.summary, d.controls().Overview)
}

// summary returns the state of the daemon itself, for the page.
func (d *daemon) summary(ctx context.Context) monitor.Summary {
	s := d.status()
	host, _ := os.Hostname()
	answering := monitor.Item{Name: "Answering lookups", Text: "yes"}
	if err := d.health(ctx); err != nil {
		answering.Problem, answering.Text = true, err.Error()
	}
	g := monitor.Summary{Host: host, Version: s.Version, Started: s.Started, Monitor: s.Monitor, Items: []monitor.Item{answering}}
	for _, t := range troubles(s) {
		item := monitor.Item{Name: t.name, Text: t.well}
		if t.reason != "" {
			item.Problem, item.Text = true, t.reason
		}
		g.Items = append(g.Items, item)
	}
	dane := monitor.Item{Name: "DANE", Text: "takes precedence over MTA-STS"}
	if !s.DANE {
		dane.Text = "left to Postfix: " + s.DANEOff
	}
	g.Items = append(g.Items, dane)
	return g
}

// showPage switches the page on or off, as the configuration in force says.
func (d *daemon) showPage() {
	d.page.Show(d.config.Metrics.Page)
	var exposed []string
	for _, l := range d.monitoring.listeners {
		if at, ok := l.Addr().(*net.TCPAddr); ok && !at.IP.IsLoopback() {
			exposed = append(exposed, at.String())
		}
	}
	if d.config.Metrics.Page && len(exposed) > 0 {
		event.PageExposed.Log(d.logger, slog.String("listen", strings.Join(exposed, " ")))
	}
}

// registerOwn registers the metrics of the daemon's own wiring.
func (d *daemon) registerOwn() {
	factory := promauto.With(d.metrics.Registry)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mta_sts_connections",
		Help: "Open connections from Postfix, all listeners together.",
	}, func() float64 { return float64(d.conns.Len()) })
	factory.NewGauge(prometheus.GaugeOpts{
		Name: "mta_sts_connections_max",
		Help: "The limit listen.max_connections. At the limit a new connection closes another one.",
	}).Set(float64(d.started.Listen.MaxConnections))
	for _, t := range troubles(admin.Status{Shared: true}) {
		factory.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "mta_sts_trouble",
			Help:        "1 while something that the daemon needs fails, else 0: sockets (a socket file is missing), resolver (no DNS server answers), policy_hosts (none can be reached from this host), authorities (certificate authorities are missing), store (the policy file cannot be written), shared_store (it cannot be used), configuration (it was refused at the last reload).",
			ConstLabels: prometheus.Labels{"kind": t.kind},
		}, func() float64 { return d.inTrouble(t.kind) })
	}
}

func (d *daemon) inTrouble(kind string) float64 {
	for _, t := range troubles(d.status()) {
		if t.kind == kind && t.reason != "" {
			return 1
		}
	}
	return 0
}
