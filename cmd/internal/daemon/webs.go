package daemon

import (
	"net"
	"os"
	"path/filepath"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/monitor"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

// adminMode lets nobody but the daemon's user and root in.
const adminMode = 0o600

// moves are the listeners, next to Postfix's, that a configuration changes.
type moves []*move

func (ms moves) commit() {
	for _, m := range ms {
		m.commit()
	}
}

func (ms moves) abandon() {
	for _, m := range ms {
		m.abandon()
	}
}

// startWebs opens the control socket and the listener for monitoring. If one
// cannot be opened, the daemon still answers lookups.
func (d *daemon) startWebs(cfg config.Config, p passed) {
	monitoring := monitor.Handler(d.metrics.Registry, d.health, d.ready, d.page)
	d.monitoring = newWeb(monitoring, monitoringConns, p[metricsName], metricsAddress, d.logger)
	d.webs = []*web{
		newWeb(admin.NewHandler(d.controls()), controlConns, p[adminName], d.adminAddress, d.logger),
		d.monitoring,
	}
	for _, w := range d.webs {
		m, err := w.prepare(cfg)
		if err != nil {
			event.ListenerUnavailable.Log(d.logger, event.Reason(err))
		}
		m.commit()
	}
	d.showPage()
}

// prepareMoves opens what cfg asks for, or nothing.
func (d *daemon) prepareMoves(cfg config.Config) (ms moves, err error) {
	for _, w := range d.webs {
		m, err := w.prepare(cfg)
		if err != nil {
			ms.abandon()
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}

func (d *daemon) closeWebs() {
	for _, w := range d.webs {
		w.close()
	}
}

// place is the address of a web, and the configuration key that it comes from.
type place struct {
	key    string
	at     config.Address
	access config.Listen // of a unix socket
}

// listen opens a listener. It creates the directory of a unix socket if needed.
func (p place) listen() (net.Listener, error) {
	if p.at.Network == config.Unix {
		if err := os.MkdirAll(filepath.Dir(p.at.Address), 0o700); err != nil {
			return nil, err
		}
	}
	return listenAt(p.at, p.access)
}

func (d *daemon) adminAddress(cfg config.Config) place {
	p := place{key: "admin.socket", access: config.Listen{SocketMode: adminMode}}
	path, err := admin.Path(cfg.Admin)
	if err != nil {
		event.ListenerUnavailable.Log(d.logger, event.Reason(err))
		return p
	}
	p.at = config.Address{Network: config.Unix, Address: path}
	return p
}

func metricsAddress(cfg config.Config) place {
	return place{key: "metrics.listen", at: cfg.Metrics.Listen, access: cfg.Listen}
}
