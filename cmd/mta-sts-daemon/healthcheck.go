package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/doctor"
	"mta-sts-daemon/config"
)

func newHealthcheck(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Check that the running daemon answers lookups",
		Long: `healthcheck asks the running daemon whether it answers lookups and whether the files of
its unix sockets exist, and systemd whether the socket unit is active. The exit status is
0 if lookups are answered, clients can reach every socket, and the socket unit, if it is
enabled, is active. It is 1 if not, and 2 if the daemon could not be asked or does not
answer within 5 seconds.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := connect(load).Health(cmd.Context()); err != nil {
				return failure(cmd, err)
			}
			if err := doctor.SocketUnit(cmd.Context(), ""); err != nil {
				return failure(cmd, err)
			}
			cmd.Println("The daemon answers lookups.")
			return nil
		},
	}
}
