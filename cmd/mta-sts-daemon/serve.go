package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/daemon"
	"mta-sts-daemon/config"
)

func newServe(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:        "serve",
		Short:      "Answer lookups until stopped (the default)",
		SuggestFor: []string{"start", "run", "daemon"},
		Long: `serve answers Postfix's lookups. SIGTERM and SIGINT end it after the lookups under way
have been answered; SIGHUP makes it load the configuration again.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			stdout := cmd.OutOrStdout()
			if out, ok := stdout.(*output); ok {
				stdout = out.Writer // a lost line of the log is not a failure of the daemon
			}
			return daemon.Run(cmd.Context(), version, load, stdout, cmd.ErrOrStderr())
		},
	}
}
