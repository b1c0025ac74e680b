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
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// shutdownGrace is added to answer_timeout when the daemon stops: within that
// every lookup that was asked has had its answer.
const shutdownGrace = time.Second

// daemon is what a reload reaches.
type daemon struct {
	logger   *slog.Logger
	level    *slog.LevelVar
	resolver *resolver.Resolver
	handler  *tlspolicy.Handler
	servers  []*socketmap.Server
	config   config.Config // in force
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
	defer d.resolver.Close()
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
	logger, level := newLogger(cfg.Log, stderr)
	settings, err := settings(cfg, logger)
	if err != nil {
		return nil, err
	}
	r := resolver.New(settings, logger)
	return &daemon{
		logger:   logger,
		level:    level,
		resolver: r,
		handler:  tlspolicy.NewHandler(r, profile(cfg), logger),
		config:   cfg,
	}, nil
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
	event.ConfigReloaded.Log(d.logger)
}

// apply puts everything of cfg in force that does not take a restart.
func (d *daemon) apply(cfg config.Config) error {
	settings, err := settings(cfg, d.logger)
	if err != nil {
		return err
	}
	d.level.Set(cfg.Log.Level)
	d.resolver.Configure(settings)
	d.handler.SetProfile(profile(cfg))
	d.config = cfg
	return nil
}

func settings(cfg config.Config, logger *slog.Logger) (resolver.Settings, error) {
	c, err := clients.New(cfg, logger)
	if err != nil {
		return resolver.Settings{}, err
	}
	return resolver.Settings{
		TXT:             c.DNS,
		Policies:        c.Policies,
		AnswerTimeout:   cfg.AnswerTimeout,
		RecheckWait:     cfg.RecheckWait,
		Entries:         cfg.Cache.Entries,
		NegativeEntries: cfg.Cache.NegativeEntries,
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
