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
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
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
	store    *store.Store
	resolver *resolver.Resolver
	handler  *tlspolicy.Handler
	servers  []*socketmap.Server
	started  config.Config // what it started with

	answerTimeout time.Duration // in force
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
	d, err := newDaemon(cfg, stderr)
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
	for {
		select {
		case <-hangup:
			d.reload(load)
		case <-ctx.Done():
			d.shutdown()
			return group.Wait()
		}
	}
}

func newDaemon(cfg config.Config, stderr io.Writer) (*daemon, error) {
	logging := newLogging(cfg.Log, stderr)
	logger := slog.New(logging)
	settings, err := settings(cfg, logger)
	if err != nil {
		return nil, err
	}
	st, err := openStore(cfg.Cache, logger)
	if err != nil {
		return nil, err
	}
	r := resolver.New(settings, st, logger)
	return &daemon{
		logger:   logger,
		logging:  logging,
		store:    st,
		resolver: r,
		handler:  tlspolicy.NewHandler(r, profile(cfg), logger),
		started:  cfg,

		answerTimeout: cfg.AnswerTimeout,
	}, nil
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

// reload puts the configuration as it stands now in force, or tells why the old
// one stays.
func (d *daemon) reload(load func() (config.Config, error)) {
	cfg, err := load()
	if err == nil {
		err = d.apply(cfg)
	}
	if err != nil {
		event.ConfigRefused.Log(d.logger, event.Reason(err))
		return
	}
	if keys := d.needRestart(cfg); len(keys) > 0 {
		event.ConfigNeedsRestart.Log(d.logger, slog.Any("keys", keys))
	} else {
		event.ConfigReloaded.Log(d.logger)
	}
}

// apply puts everything of cfg in force that does not take a restart.
func (d *daemon) apply(cfg config.Config) error {
	settings, err := settings(cfg, d.logger)
	if err != nil {
		return err
	}
	d.logging.configure(cfg.Log)
	d.resolver.Configure(settings)
	d.handler.SetProfile(profile(cfg))
	d.answerTimeout = cfg.AnswerTimeout
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
	return keys
}

func settings(cfg config.Config, logger *slog.Logger) (resolver.Settings, error) {
	c, err := clients.New(cfg, logger)
	if err != nil {
		return resolver.Settings{}, err
	}
	return resolver.Settings{
		TXT:             c.DNS,
		MX:              c.DNS,
		Policies:        c.Policies,
		AnswerTimeout:   cfg.AnswerTimeout,
		RecheckWait:     cfg.RecheckWait,
		Entries:         cfg.Cache.Entries,
		NegativeEntries: cfg.Cache.NegativeEntries,
		RefreshInterval: cfg.Refresh.Interval,
		Idle:            cfg.Refresh.Idle,
		Concurrency:     cfg.Refresh.Concurrency,
	}, nil
}

// profile says in Postfix's terms how cfg wants lookups answered.
func profile(cfg config.Config) tlspolicy.Profile {
	p := tlspolicy.Profile{
		Monitor:        cfg.Mode == config.ModeMonitor,
		EnforceTesting: cfg.Testing == config.TestingEnforce,
		Reporting:      make(map[string]bool, len(cfg.Maps)),
		Overrides: tlspolicy.Overrides{
			Exact: map[mtasts.Domain]socketmap.Reply{},
			Below: map[mtasts.Domain]socketmap.Reply{},
		},
	}
	for name, m := range cfg.Maps {
		p.Reporting[name] = m.TLSRPT
	}
	for key, override := range cfg.Overrides {
		reply := socketmap.Reply{Status: socketmap.OK, Data: []byte(override.Policy)}
		if override.NotFound {
			reply.Status = socketmap.NotFound
		}
		if key.Subdomains {
			p.Overrides.Below[key.Domain] = reply
		} else {
			p.Overrides.Exact[key.Domain] = reply
		}
	}
	return p
}

// shutdown answers what was asked and ends the servers.
func (d *daemon) shutdown() {
	event.DaemonStopping.Log(d.logger)
	ctx, cancel := context.WithTimeoutCause(context.Background(), d.answerTimeout+shutdownGrace,
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
