package main

import (
	"context"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

// healthPatience is how long a daemon may take to say that it is well.
const healthPatience = 10 * time.Second

func newHealthcheck(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Say whether the running daemon answers lookups",
		Long: `healthcheck makes the running daemon do a lookup as for Postfix, and look at the
files of its unix sockets. It exits with 0 if lookups are answered and clients can
reach every socket, with 1 if not, and with 2 if no daemon could be asked. It is
for hosts that watch the daemon without systemd.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, cancel := context.WithTimeout(cmd.Context(), healthPatience)
			defer cancel()
			if err := connect(load).Health(ctx); err != nil {
				return failure(cmd, err)
			}
			cmd.Println("The daemon answers lookups.")
			return nil
		},
	}
}
