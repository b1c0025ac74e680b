package main

import (
	"log/slog"

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
		Use:   "query DOMAIN",
		Short: "Show why mail to a domain is sent or deferred, step by step",
		Long: `query looks a domain up afresh and shows each step: its record, its policy
host with addresses and certificate, its policy and what looks like a mistake in
it, its MX hosts against the policy, DANE, and where it wants TLS reports. It asks
the running daemon what that remembers, goes on without one, and ends with what
Postfix gets and what becomes of mail to the domain. It does not connect to MX
hosts. DOMAIN may be written as in Postfix's transport table,
[mx.example.com]:587.

It exits with 0 where the domain publishes a policy, 1 where it has none, 2 where
that cannot be told. --json has the same for scripts, times in UTC, durations in
seconds.`,
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
			postfix, err := postconf.Command{}.Instances(cmd.Context())
			noDANE := c.DoesDANE(cfg, postfix)
			if cfg.DNS.DANE == config.DANEAuto && err != nil {
				noDANE = err
			}
			report, ok := explain.Look(cmd.Context(), c, args[0], explain.Options{
				Profile: clients.Profile(cfg),
				NoDANE:  noDANE,
				Daemon:  admin.NewClient(admin.Find(cfg.Admin)),
			})
			if !ok {
				cmd.PrintErrf("mta-sts-daemon: %s is not a domain that can have a policy\n", printable.Quote(args[0]))
				return exitStatus(2)
			}
			if asJSON {
				err = report.WriteJSON(cmd.OutOrStdout())
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
