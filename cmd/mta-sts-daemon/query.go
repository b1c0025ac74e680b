package main

import (
	"encoding/json"
	"log/slog"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/cmd/internal/postconf"
	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap/tlspolicy"
)

func newQuery(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "query DOMAIN",
		Short: "Show each step from a domain's record to what Postfix is told",
		Long: `query looks a domain up afresh, without the running daemon: its record, its
policy host, its policy, and its MX hosts against the policy. DOMAIN may be
written as in Postfix's transport table, [mx.example.com]:587.

It exits with 0 where the domain has a policy, 1 where it has none, 2 where that
cannot be told.`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			cfg, err := load()
			if err != nil {
				cmd.PrintErrln("mta-sts-daemon:", err)
				return exitStatus(2)
			}
			hop, ok := tlspolicy.ParseKey([]byte(args[0]))
			if !ok {
				cmd.PrintErrf("mta-sts-daemon: %+q is not a domain that can have a policy\n", args[0])
				return exitStatus(2)
			}
			c, err := clients.New(cfg, slog.New(slog.DiscardHandler))
			if err != nil {
				cmd.PrintErrln("mta-sts-daemon:", err)
				return exitStatus(2)
			}
			postfix, err := postconf.Command{}.Settings(cmd.Context())
			noDANE := c.DoesDANE(cfg.DNS.DANE, postfix)
			if cfg.DNS.DANE == config.DANEAuto && err != nil {
				noDANE = err
			}
			report := explain.Look(cmd.Context(), c, hop, explain.Options{Profile: clients.Profile(cfg), NoDANE: noDANE})
			if asJSON {
				out := json.NewEncoder(cmd.OutOrStdout())
				out.SetIndent("", "  ")
				err = out.Encode(report)
			} else {
				err = report.Print(cmd.OutOrStdout())
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
