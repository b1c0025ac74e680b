// Package daemon is the running program: it wires the rooms together, listens,
// reloads and stops.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"reflect"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/store"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// shutdownGrace is added to answer_timeout when the daemon stops: within that
// every lookup that was asked has had its answer.
const shutdownGrace = time.Second

// daemon is what a reload reaches.
type daemon struct {
	logger   *slog.Logger
	logging  *logging
	dane     daneSwitch
	store    *store.Store
	resolver *resolver.Resolver
	handler  *tlspolicy.Handler
	servers  []*socketmap.Server
	started  config.Config // what it started with

	// In force.
	config   config.Config
	clients  clients.Clients
	settings resolver.Settings
}

// Run is the daemon's life: it loads the configuration, answers lookups until
// ctx ends or SIGTERM or SIGINT comes, and loads the configuration anew at each
// SIGHUP. It logs to stderr.
func Run(ctx context.Context, load func() (config.Config, error), stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)

	cfg, err := load()
	if err != nil {
		return err
	}
	d, err := newDaemon(ctx, cfg, stderr)
	if err != nil {
		return err
	}
	defer d.close()
	endpoints, err := listen(cfg.Listen)
	if err != nil {
		return err
	}

	conns := socketmap.NewConnections(cfg.Listen.MaxConnections)
	group, ctx := errgroup.WithContext(ctx)
	for _, e := range endpoints {
		server := socketmap.NewServer(e.protocol, d.handler, conns, e.idle, d.logger)
		d.servers = append(d.servers, server)
		group.Go(func() error { return server.Serve(e) })
	}
	event.DaemonStarted.Log(d.logger, slog.String("listen", names(endpoints)))
	ticker := time.NewTicker(daneInterval)
	defer ticker.Stop()
	for {
		select {
		case <-hangup:
			d.reload(ctx, load)
		case <-ticker.C:
			d.followPostfix(ctx)
		case <-ctx.Done():
			d.shutdown()
			return group.Wait()
		}
	}
}

func newDaemon(ctx context.Context, cfg config.Config, stderr io.Writer) (*daemon, error) {
	logging := newLogging(cfg.Log, stderr)
	logger := slog.New(logging)
	d := &daemon{logger: logger, logging: logging, dane: daneSwitch{logger: logger}, started: cfg}
	var err error
	if d.store, err = openStore(cfg.Cache, logger); err != nil {
		return nil, err
	}
	if err := d.adopt(ctx, cfg); err != nil {
		d.store.Close()
		return nil, err
	}
	d.resolver = resolver.New(d.settings, d.store, logger)
	d.handler = tlspolicy.NewHandler(d.resolver, clients.Profile(cfg), logger)
	return d, nil
}

// adopt makes of cfg what is to be in force, or changes nothing.
func (d *daemon) adopt(ctx context.Context, cfg config.Config) error {
	c, err := clients.New(cfg, d.logger)
	if err != nil {
		return err
	}
	d.config, d.clients = cfg, c
	d.settings = resolver.Settings{
		TXT:             c.DNS,
		MX:              c.DNS,
		Policies:        c.Policies,
		DANE:            d.checker(ctx),
		AnswerTimeout:   cfg.AnswerTimeout,
		RecheckWait:     cfg.RecheckWait,
		Entries:         cfg.Cache.Entries,
		NegativeEntries: cfg.Cache.NegativeEntries,
		RefreshInterval: cfg.Refresh.Interval,
		Idle:            cfg.Refresh.Idle,
		Concurrency:     cfg.Refresh.Concurrency,
	}
	return nil
}

// checker looks DANE up, or is nil where that is not to be done.
func (d *daemon) checker(ctx context.Context) resolver.DANEChecker {
	if !d.dane.decide(ctx, d.config.DNS.DANE, d.clients) {
		return nil
	}
	return dane.New(d.clients.DNS)
}

// followPostfix switches DANE on or off as this host's Postfix does.
func (d *daemon) followPostfix(ctx context.Context) {
	checker := d.checker(ctx)
	if (checker == nil) != (d.settings.DANE == nil) {
		d.settings.DANE = checker
		d.resolver.Configure(d.settings)
	}
}

// reload puts the configuration as it stands now in force, or tells why the old
// one stays.
func (d *daemon) reload(ctx context.Context, load func() (config.Config, error)) {
	cfg, err := load()
	if err == nil {
		err = d.adopt(ctx, cfg)
	}
	if err != nil {
		event.ConfigRefused.Log(d.logger, event.Reason(err))
		return
	}
	d.logging.configure(cfg.Log)
	d.resolver.Configure(d.settings)
	d.handler.SetProfile(clients.Profile(cfg))
	if keys := d.needRestart(cfg); len(keys) > 0 {
		event.ConfigNeedsRestart.Log(d.logger, slog.Any("keys", keys))
	} else {
		event.ConfigReloaded.Log(d.logger)
	}
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
	return keys
}

func openStore(cfg config.Cache, logger *slog.Logger) (*store.Store, error) {
	if cfg.File == config.MemoryOnly {
		return store.OpenMemory(), nil
	}
	path, err := policyPath(cfg)
	if err != nil {
		return nil, err
	}
	return store.Open(path, logger)
}

// close writes down what is known.
func (d *daemon) close() {
	d.resolver.Close()
	if err := d.store.Close(); err != nil {
		event.StoreFailing.Log(d.logger, event.Reason(err))
	}
}

// shutdown answers what was asked and ends the servers.
func (d *daemon) shutdown() {
	event.DaemonStopping.Log(d.logger)
	ctx, cancel := context.WithTimeoutCause(context.Background(), d.config.AnswerTimeout+shutdownGrace,
		errors.New("their lookups took too long"))
	defer cancel()
	var group errgroup.Group
	for _, server := range d.servers {
		group.Go(func() error {
			err := server.Shutdown(ctx)
			if err != nil {
				event.ConnectionsCut.Log(d.logger, event.Reason(err))
			}
			return err
		})
	}
	group.Wait()
}
