package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/printable"
)

func newQuery(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:        "query DOMAIN",
		Short:      "Show why mail to a domain is sent or deferred, step by step",
		SuggestFor: []string{"lookup", "get", "test"},
		Long: `query prints in its first line what happens to mail to a domain, and why. Then it looks
up everything again and shows each step: the record, the policy host with addresses and
certificate, the policy and probable mistakes in it, the MX hosts against the policy,
DANE, and the address for TLS reports. It also shows what the running daemon knows, but
works without one. It uses the map name in this host's main.cf. It finds mail hosts in
/etc/hosts too, if smtp_host_lookup in main.cf has native. It does not connect to MX
hosts. DOMAIN may also be a next hop as in transport(5): [mx.example.com]:587.

The outcomes and their exit statuses:

protected-sts, protected-dane (0): an enforced policy or DANE, and at least one MX host
satisfies it as far as can be seen.

override (0): the configuration has the answer.

unprotected (1): no record, mode none or testing, or opportunistic DANE.

unknown (2): something on this host failed, for example the resolver.

deferred, undeliverable (3): mail waits, because no MX host satisfies the policy or the
domain's DNS fails; or mail is returned to the sender.

broken (4): a policy is announced and cannot be used; its publisher has to repair it.
Mail is sent without protection.

--json prints the same for scripts, with outcome, reason and, if broken, the result
type of RFC 8460; times are in UTC, durations in seconds.`,
		Args:              oneArg("DOMAIN"),
		ValidArgsFunction: completeDomains(load),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load()
			if err != nil {
				cmd.PrintErrln("mta-sts-daemon:", err)
				return exitStatus(2)
			}
			c, err := clients.New(cfg, nil, slog.New(slog.DiscardHandler))
			if err != nil {
				cmd.PrintErrln("mta-sts-daemon:", err)
				return exitStatus(2)
			}
			daemon := admin.NewClient(admin.Find(cfg.Admin), nil)
			postfix, err := postconf.Command{}.Instances(cmd.Context())
			status, _ := daemon.Status(cmd.Context()) // zero without a daemon
			cfg.Listen = clients.Listening(cfg.Listen, status)
			maps := clients.MapNames(cfg, postfix)
			if err != nil {
				maps = clients.MapNamesElsewhere(cfg.Listen)
			}
			noDANE := c.DoesDANE(cfg, postfix)
			if cfg.DNS.DANE == config.DANEAuto && err != nil {
				noDANE = err
			}
			options := explain.Options{
				Profile: clients.Profile(cfg),
				NoDANE:  noDANE,
				Daemon:  daemon,
				Maps:    maps,
			}
			if slices.ContainsFunc(clients.Asking(cfg, postfix), postconf.Settings.LooksUpNative) {
				options.Native = func(ctx context.Context, host string) ([]netip.Addr, error) {
					return net.DefaultResolver.LookupNetIP(ctx, "ip", host)
				}
			}
			done := showProgress(cmd, args[0])
			report, ok := explain.Look(cmd.Context(), c, args[0], options)
			done()
			if !ok {
				return notDomain(args[0])
			}
			if asJSON {
				err = printJSON(cmd, report)
			} else {
				err = report.Print(layout.On(cmd.OutOrStdout()))
			}
			if err != nil {
				return err
			}
			if status := report.ExitStatus(); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// showProgress says on a terminal that a look is under way, until done is called.
func showProgress(cmd *cobra.Command, key string) (done func()) {
	stderr := cmd.ErrOrStderr()
	if !showsProgress(stderr) {
		return func() {}
	}
	const toLineStart, clearLine = "\r", "\x1b[K"
	fmt.Fprintf(stderr, "Looking up %s ...", printable.Line(key, 60))
	return func() { fmt.Fprint(stderr, toLineStart+clearLine) }
}
