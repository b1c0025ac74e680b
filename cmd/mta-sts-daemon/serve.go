package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/daemon"
	"mta-sts-daemon/config"
)

func newServe(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Answer lookups until stopped by a signal (the default)",
		Long: `serve answers Postfix's lookups. SIGTERM and SIGINT end it once the lookups that
were asked are answered; SIGHUP loads the configuration anew.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return daemon.Run(cmd.Context(), version, load, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}
