package daemon

import (
	"context"
	"errors"
	"log/slog"
	"reflect"
	"time"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/event"
)

// reloadResult goes back to whoever asked for a reload on the control socket.
type reloadResult struct {
	reloaded admin.Reloaded
	err      error
}

var errStopping = errors.New("the daemon is stopping")

// reloadRequest asks the main loop for a reload. Once ctx has ended, nobody waits
// for it and it is not carried out.
type reloadRequest struct {
	ctx   context.Context
	reply chan<- reloadResult // has room for the one result
}

// askReload has the main loop reload.
func (d *daemon) askReload(ctx context.Context) (admin.Reloaded, error) {
	reply := make(chan reloadResult, 1)
	select {
	case d.reloads <- reloadRequest{ctx, reply}:
	case <-d.stopping:
		return admin.Reloaded{}, errStopping
	case <-ctx.Done():
		return admin.Reloaded{}, context.Cause(ctx)
	}
	select {
	case result := <-reply:
		return result.reloaded, result.err
	case <-ctx.Done():
		return admin.Reloaded{}, context.Cause(ctx)
	}
}

// reload puts the current configuration into force, or returns why the old
// one stays.
func (d *daemon) reload(ctx context.Context) (result reloadResult) {
	d.notifier.reloading()
	defer func() { d.notifier.ready(d.statusLine()) }()
	cfg, err := d.load()
	if err == nil {
		err = d.replace(ctx, cfg)
	}
	d.state.refused(err)
	d.metrics.Reloaded(err)
	if err != nil {
		event.ConfigRefused.Log(d.logger, event.Reason(err))
		return reloadResult{err: err}
	}
	keys := d.needRestart(cfg)
	if len(keys) > 0 {
		event.ConfigNeedsRestart.Log(d.logger, slog.Any("keys", keys))
	} else {
		event.ConfigReloaded.Log(d.logger)
	}
	return reloadResult{reloaded: admin.Reloaded{NeedRestart: keys}}
}

// replace puts cfg in force, or changes nothing.
func (d *daemon) replace(ctx context.Context, cfg config.Config) error {
	moves, err := d.prepareMoves(cfg)
	if err != nil {
		return err
	}
	if err := d.adopt(ctx, cfg); err != nil {
		moves.abandon()
		return err
	}
	moves.commit()
	d.logging.configure(cfg.Log)
	d.resolver.Configure(d.settings)
	d.reporter.Configure(d.reporting(ctx))
	d.handler.SetProfile(d.profile())
	d.state.doesDANE(d.dane.why)
	d.showPage()
	d.dane.logDecision(ctx, d.clients.DNS)
	d.checkAuthorities()
	d.ends.log(d.config.Overrides, time.Now())
	return nil
}

// needRestart returns the keys that cfg sets otherwise than the daemon started
// with.
func (d *daemon) needRestart(cfg config.Config) (keys []string) {
	if !reflect.DeepEqual(cfg.Listen, d.started.Listen) {
		keys = append(keys, "listen")
	}
	if cfg.Cache.File != d.started.Cache.File {
		keys = append(keys, "cache.file")
	}
	if cfg.Cache.Shared != d.started.Cache.Shared {
		keys = append(keys, "cache.shared")
	}
	return keys
}
