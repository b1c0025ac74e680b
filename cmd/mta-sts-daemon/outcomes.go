package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	sd "github.com/coreos/go-systemd/v22/daemon"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/monitor"
	"mta-sts-daemon/cmd/internal/outcomes"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/printable"
)

// outcomesFlags are those of the command.
type outcomesFlags struct {
	journal, follow, json            bool
	since, metrics, state, relayHost string
	files                            []string
}

// Parameters of Postfix's that the command reads, see postconf(5).
const (
	maillogFile = "maillog_file"
	relayHost   = "relayhost"
)

// logFiles are where syslog writes Postfix's log: on Debian, on others.
var logFiles = []string{"/var/log/mail.log", "/var/log/maillog"}

// stateName is the name of the position's file in the state directory that systemd
// gives.
const stateName = "outcomes.json"

func newOutcomes(load func() (config.Config, error)) *cobra.Command {
	var flags outcomesFlags
	cmd := &cobra.Command{
		Use:        "outcomes [FILE...]",
		Short:      "Show from Postfix's log what became of mail: encrypted, verified, failed because of TLS",
		SuggestFor: []string{"deliveries", "stats"},
		Long: `outcomes reads Postfix's log and counts each attempt to deliver mail over SMTP, for
each recipient: the policy (sts, dane, none), the TLS of the connection (verified,
trusted, untrusted, anonymous, none), and the result (sent, deferred or bounced). If TLS
was the cause of a failure, it counts the reason. Address probes, LMTP and content filters
on this host are not counted. docs/outcomes.md explains each figure.

FILEs are logs as syslog or Postfix writes them, in any order, compressed by gzip or not;
"-" is the standard input. Without a FILE it reads the log of this host's Postfix and the
files rotated from it, or with --journal the system's journal.

The policy is the one that the running daemon has in memory now; without a daemon it is
unknown. The daemon is asked at listen.socketmap and at the addresses that the socket unit
has in the packages. This changes nothing in the daemon. The TLS of a connection is unknown if Postfix
is older than 3.11 and smtp_tls_loglevel is 0.

With --follow it does not end: it counts new log lines, and serves the counts as metrics
for Prometheus. mta-sts-outcomes.service does so.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			flags.files = args
			if err := flags.check(); err != nil {
				return err
			}
			cfg, err := load()
			if err != nil {
				return err
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			if !cmd.Flags().Changed(relayHost) {
				flags.relayHost = parameter(ctx, relayHost)
			}
			daemon := outcomes.NewDaemon(socketmapAddresses(cfg), func(err error) {
				cmd.PrintErrf("mta-sts-daemon: no daemon answers, so policies are unknown (%s). If its socket unit has another address, name that in listen.socketmap too\n",
					strings.ReplaceAll(err.Error(), "\n", "; "))
			})
			defer daemon.Close()
			tally := outcomes.NewTally(outcomes.Options{Policies: daemon, RelayHost: flags.relayHost, Follow: flags.follow})
			if flags.follow {
				signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // whoever reads the messages may end
				return flags.run(ctx, tally, slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
			}
			if err := flags.read(ctx, tally, cmd.PrintErrf); err != nil {
				return err
			}
			summary := tally.Summary()
			if flags.json {
				return printJSON(cmd, summary)
			}
			return summary.Print(layout.On(cmd.OutOrStdout()))
		},
	}
	cmd.Flags().BoolVar(&flags.journal, "journal", false, "read the system's journal")
	cmd.Flags().StringVar(&flags.since, "since", "", "with --journal, begin at this `time`: 24h, or any form that journalctl accepts")
	cmd.Flags().BoolVar(&flags.follow, "follow", false, "do not end, count new lines")
	cmd.Flags().StringVar(&flags.metrics, "metrics", "", "with --follow, serve metrics at `host:port`")
	cmd.Flags().StringVar(&flags.state, "state", "", "with --follow, the `file` that keeps the position in the log across restarts (default outcomes.json in $STATE_DIRECTORY)")
	cmd.Flags().StringVar(&flags.relayHost, relayHost, "", "the relayhost of the Postfix that wrote the log (default the one of postconf)")
	jsonFlag(cmd, &flags.json)
	return cmd
}

// check refuses flags that make no sense together.
func (f *outcomesFlags) check() error {
	switch {
	case f.journal && len(f.files) > 0:
		return usageError("--journal and a FILE exclude each other")
	case f.since != "" && !f.journal:
		return usageError("--since needs --journal")
	case f.follow && f.since != "":
		return usageError("--since and --follow exclude each other: what is followed begins now")
	case f.follow && f.json:
		return usageError("--json and --follow exclude each other")
	case f.follow != (f.metrics != ""):
		return usageError("--follow and --metrics need each other")
	case f.metrics != "" && !isHostPort(f.metrics):
		return usageError("--metrics: %s is not host:port", printable.Quote(f.metrics))
	case f.state != "" && !f.follow:
		return usageError("--state needs --follow")
	case f.follow && (len(f.files) > 1 || len(f.files) == 1 && f.files[0] == outcomes.Stdin):
		return usageError("--follow takes one FILE")
	}
	return nil
}

func isHostPort(text string) bool {
	address, err := config.ParseAddress(text)
	return err == nil && address.Network == config.TCP
}

// read counts the lines of all files, and notes the files that it leaves out.
func (f *outcomesFlags) read(ctx context.Context, tally *outcomes.Tally, note func(format string, args ...any)) error {
	if f.journal {
		return (&outcomes.Journal{Tally: tally, Since: f.since}).Read(ctx)
	}
	files := f.files
	if len(files) == 0 {
		file, err := findLog(ctx)
		if err != nil {
			return err
		}
		files = outcomes.Rotated(file)
		if left := outcomes.Unreadable(file); len(left) > 0 {
			note("mta-sts-daemon: rotated files such as %s do not count (%d in all), because only gzip is read here. Decompress them into a pipe to outcomes -\n",
				left[0], len(left))
		}
	}
	return outcomes.ReadFiles(ctx, tally, files)
}

// run follows the log and serves the metrics until ctx is done.
func (f *outcomesFlags) run(ctx context.Context, tally *outcomes.Tally, logger *slog.Logger) error {
	if dir := os.Getenv("STATE_DIRECTORY"); f.state == "" && dir != "" {
		f.state = filepath.Join(dir, stateName)
	}
	listener, err := net.Listen("tcp", f.metrics)
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(tally, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	well := func(context.Context) error { return nil }
	ready := func() {
		go outcomes.Serve(ctx, listener, monitor.Handler(registry, well, well, nil), logger)
		sd.SdNotify(false, sd.SdNotifyReady)
	}
	if f.journal {
		return (&outcomes.Journal{Tally: tally, Logger: logger, StateFile: f.state, Ready: ready}).Follow(ctx)
	}
	file := ""
	if len(f.files) > 0 {
		file = f.files[0]
	} else if file, err = findLog(ctx); err != nil {
		return err
	}
	return (&outcomes.Follower{Tally: tally, Path: file, StateFile: f.state, Logger: logger, Ready: ready}).Run(ctx)
}

// findLog returns the log of this host's Postfix.
func findLog(ctx context.Context) (string, error) {
	for _, name := range append([]string{parameter(ctx, maillogFile)}, logFiles...) {
		if info, err := os.Stat(name); err == nil && info.Mode().IsRegular() {
			return name, nil
		}
	}
	return "", fmt.Errorf("no log of Postfix is at %s: name a FILE, or use --journal", strings.Join(logFiles, " or "))
}

// parameter returns a parameter of this host's Postfix; "" if it has no value.
func parameter(ctx context.Context, name string) string {
	values, err := postconf.Command{}.Get(ctx, name)
	if err != nil {
		return ""
	}
	return values[name]
}

// socketmapAddresses returns the addresses at which the daemon may answer: those of the
// configuration and of the shipped socket unit. TCP comes first, because a process needs no
// permission for it.
func socketmapAddresses(cfg config.Config) []config.Address {
	at := clients.Listening(cfg.Listen, admin.Status{}).Socketmap
	slices.SortStableFunc(at, func(a, b config.Address) int { return cmp.Compare(a.Network, b.Network) })
	return slices.Compact(at)
}
