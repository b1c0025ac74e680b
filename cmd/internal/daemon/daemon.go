// Package daemon is the running program: it wires the rooms together, listens,
// reloads and stops.
package daemon

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/singleflight"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/monitor"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver"
	"mta-sts-daemon/resolver/authorities"
	"mta-sts-daemon/resolver/clock"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/dnsclient"
	"mta-sts-daemon/resolver/event"
	"mta-sts-daemon/resolver/policies"
	"mta-sts-daemon/resolver/shared"
	"mta-sts-daemon/resolver/store"
	"mta-sts-daemon/resolver/tlsrpt"
	"mta-sts-daemon/socketmap"
	"mta-sts-daemon/socketmap/tlspolicy"
)

// shutdownGrace is added to answer_timeout when the daemon stops: within that
// every lookup that was asked has had its answer.
const shutdownGrace = time.Second

// closeGrace is what systemd grants beyond that, to write down what only memory
// knows.
const closeGrace = 30 * time.Second

// watchInterval is how often the files of the sockets are checked. While one is
// missing, Postfix defers mail.
const watchInterval = time.Second

// lookInterval is how often the daemon looks whether main.cf, the resolvers or
// its own state have changed.
const lookInterval = 10 * time.Second

// daemon is the program while it runs. Its main loop alone changes it.
type daemon struct {
	load       func() (config.Config, error)
	logger     *slog.Logger
	logging    *logging
	metrics    *monitor.Metrics
	dnsMetrics *dnsclient.Metrics // of every DNS client in turn
	dane       daneSwitch
	clock      *clock.Clock
	ends       overrideEnds
	store      *store.Store
	shared     *shared.Client // nil without cache.shared
	resolver   *resolver.Resolver
	reporter   *tlsrpt.Reporter
	handler    *tlspolicy.Handler
	conns      *socketmap.Connections
	servers    []*socketmap.Server
	sockets    watch // for lookups
	webs       []*web
	monitoring *web          // of webs
	page       *monitor.Page // of monitoring
	notifier   notifier
	state      state         // for others than the main loop
	started    config.Config // the configuration at the start
	listens    config.Listen // its listeners for lookups, with passed sockets in their place

	reloads  chan reloadRequest // asks the main loop to reload
	stopping chan struct{}      // closed when the main loop has ended
	checks   singleflight.Group // of health

	// In force.
	config   config.Config
	clients  clients.Clients
	settings resolver.Settings

	authorityProblem string // as logged last; "" if all is well
}

// Run loads the configuration and answers lookups until ctx ends or SIGTERM or
// SIGINT arrives. It reloads the configuration at each SIGHUP and at each reload
// request on the control socket. It logs to the journal, in JSON to stdout or in
// text to stderr.
func Run(ctx context.Context, version string, load func() (config.Config, error), stdout, stderr io.Writer) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	// A write to a log whose reader has ended fails. By default it would end the daemon.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)

	sockets, err := takePassed()
	if err != nil {
		return err
	}
	cfg, err := load()
	if err != nil {
		return err
	}
	logging := newLogging(cfg.Log, stdout, stderr)
	defer logging.Close()
	if _, unknown := config.Variables(os.Environ()); len(unknown) > 0 {
		event.VariablesUnknown.Log(slog.New(logging), slog.Any("variables", unknown))
	}
	ballast := newBallast(heapRoom)
	defer runtime.KeepAlive(ballast)
	listens := sockets.replace(ctx, cfg.Listen)
	d, err := newDaemon(ctx, cfg, listens, monitor.NewMetrics(version), load, logging)
	if err != nil {
		return err
	}
	defer d.close()
	endpoints, err := listen(ctx, listens, sockets)
	if err != nil {
		return err
	}
	var listeners []net.Listener
	for _, e := range endpoints {
		listeners = append(listeners, e.Listener)
	}
	d.sockets.set(listeners)

	group, ctx := errgroup.WithContext(ctx)
	for _, e := range endpoints {
		server := socketmap.NewServer(e.protocol, d.handler.For(e.counted), d.conns, e.idle, d.logger)
		d.servers = append(d.servers, server)
		group.Go(func() error { return server.Serve(e) })
	}
	d.state.begin(version, listens)
	d.startWebs(cfg, sockets)
	event.DaemonStarted.Log(d.logger, slog.String("listen", strings.Join(names(endpoints), " ")))
	d.notifier.ready(d.statusLine())
	go d.feedWatchdog()
	d.serve(ctx, hangup)
	d.shutdown()
	return group.Wait()
}

// serve is the main loop. It ends with ctx.
func (d *daemon) serve(ctx context.Context, hangup <-chan os.Signal) {
	defer close(d.stopping)
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	watching := time.NewTicker(watchInterval)
	defer watching.Stop()
	sampling := time.NewTicker(monitor.SampleInterval)
	defer sampling.Stop()
	d.checkAuthorities() // lookups are answered meanwhile
	for {
		select {
		case <-hangup:
			d.reload(ctx)
		case request := <-d.reloads:
			if request.ctx.Err() == nil {
				request.reply <- d.reload(ctx)
			}
		case <-ticker.C:
			d.followPostfix(ctx)
			d.checkAuthorities()
			d.ends.log(d.config.Overrides, time.Now())
			d.notifier.setStatus(d.statusLine())
		case <-watching.C:
			d.sockets.check()
			for _, w := range d.webs {
				w.sockets.check()
			}
		case <-sampling.C:
			d.page.Sample()
		case <-ctx.Done():
			return
		}
	}
}

func newDaemon(ctx context.Context, cfg config.Config, listens config.Listen, metrics *monitor.Metrics, load func() (config.Config, error), logging *logging) (*daemon, error) {
	logger := slog.New(logging)
	d := &daemon{
		load:       load,
		logger:     logger,
		logging:    logging,
		clock:      clock.System(),
		dane:       daneSwitch{logger: logger},
		ends:       overrideEnds{logger: logger},
		notifier:   notifier{logger: logger},
		sockets:    watch{logger: logger, lost: event.SocketLost},
		metrics:    metrics,
		dnsMetrics: dnsclient.NewMetrics(metrics.Registry),
		started:    cfg,
		listens:    listens,
		reloads:    make(chan reloadRequest),
		stopping:   make(chan struct{}),
	}
	var err error
	if d.store, err = openStore(cfg.Cache, d.clock, logger); err != nil {
		return nil, err
	}
	d.store.Register(metrics.Registry)
	if err := d.adopt(ctx, cfg); err != nil {
		d.store.Close()
		return nil, err
	}
	if d.shared, err = clients.NewShared(cfg.Cache.Shared, d.store, metrics.Registry, logger); err != nil {
		d.store.Close()
		return nil, err
	}
	d.resolver = resolver.New(resolver.Options{Settings: d.settings, Clock: d.clock, Store: d.store, Shared: d.sharedStore(),
		Metrics: metrics.Registry, Logger: logger})
	d.reporter = tlsrpt.New(d.reporting(ctx), metrics.Registry, logger)
	d.handler = tlspolicy.NewHandler(d.resolver, d.profile(), metrics.Registry, logger)
	d.conns = socketmap.NewConnections(cfg.Listen.MaxConnections)
	d.page = d.newPage()
	d.registerOwn()
	d.state.doesDANE(d.dane.why)
	d.dane.logDecision(ctx, d.clients.DNS)
	d.ends.log(d.config.Overrides, time.Now())
	return d, nil
}

// adopt puts cfg into force, or changes nothing.
func (d *daemon) adopt(ctx context.Context, cfg config.Config) error {
	cfg.Listen = d.listens // no reload changes it
	c, err := clients.New(cfg, d.dnsMetrics, d.logger)
	if err != nil {
		return err
	}
	d.config, d.clients = cfg, c
	d.settings = resolver.Settings{
		TXT:           c.DNS,
		MX:            c.DNS,
		Policies:      c.Policies,
		Probe:         c.DNS,
		DANE:          d.checker(ctx),
		AnswerTimeout: cfg.AnswerTimeout,
		RecheckWait:   cfg.RecheckWait,
		Limits: policies.Limits{
			Entries:         cfg.Cache.Entries,
			NegativeEntries: cfg.Cache.NegativeEntries,
			RefreshInterval: cfg.Refresh.Interval,
			Idle:            cfg.Refresh.Idle,
		},
		Concurrency: cfg.Refresh.Concurrency,
	}
	return nil
}

// checker looks DANE up, or is nil if that is not to be done.
func (d *daemon) checker(ctx context.Context) resolver.DANEChecker {
	if !d.dane.decide(ctx, d.config, d.clients) {
		return nil
	}
	return dane.New(&mailDNS{d.clients.DNS, d.dane.looksUpNative()})
}

// followPostfix looks for mail hosts, and for DANE or not, as this host's Postfix
// does.
func (d *daemon) followPostfix(ctx context.Context) {
	native := d.dane.looksUpNative()
	checker := d.checker(ctx)
	if (checker == nil) != (d.settings.DANE == nil) || d.dane.looksUpNative() != native {
		d.settings.DANE = checker
		d.resolver.Configure(d.settings)
		d.state.doesDANE(d.dane.why)
	}
	d.dane.logDecision(ctx, d.clients.DNS)
}

// checkAuthorities reads the certificate authorities again if they are due, and
// logs a new problem with them.
func (d *daemon) checkAuthorities() {
	d.clients.Authorities.Pool()
	problem := d.clients.Authorities.Problem()
	reason := ""
	if problem != nil {
		reason = problem.Error()
	}
	if reason == d.authorityProblem {
		return
	}
	d.authorityProblem = reason
	d.state.authorities(reason)
	switch {
	case problem == nil:
	case errors.Is(problem, authorities.ErrNone):
		event.AuthoritiesMissing.Log(d.logger, event.Reason(problem))
	default:
		event.AuthoritiesUnreadable.Log(d.logger, event.Reason(problem))
	}
}

// sharedStore returns the shared store for the resolver; nil if policies are not
// shared.
func (d *daemon) sharedStore() resolver.SharedStore {
	if d.shared == nil {
		return nil
	}
	return d.shared
}

func openStore(cfg config.Cache, clk *clock.Clock, logger *slog.Logger) (*store.Store, error) {
	if cfg.File == config.MemoryOnly {
		return store.OpenMemory(clk), nil
	}
	path, err := policyPath(cfg)
	if err != nil {
		return nil, err
	}
	return store.Open(path, clk, logger)
}

// close writes everything that is not yet stored.
func (d *daemon) close() {
	d.resolver.Close()
	d.reporter.Close()
	if d.shared != nil {
		d.shared.Close()
	}
	if err := d.store.Close(); err != nil {
		event.StoreFailing.Log(d.logger, event.Reason(err))
	}
}

// shutdown answers the pending lookups and ends the servers.
func (d *daemon) shutdown() {
	event.DaemonStopping.Log(d.logger)
	limit := d.config.AnswerTimeout + shutdownGrace
	d.notifier.stopping(limit + closeGrace)
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, errors.New("their lookups took too long"))
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
	d.closeWebs()
}
