package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/doctor"
	"mta-sts-daemon/config"
)

func newHealthcheck(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "healthcheck",
		Short: "Say whether the running daemon answers lookups",
		Long: `healthcheck makes the running daemon do a lookup as for Postfix, and look at the
files of its unix sockets; it asks systemd for the socket unit. It exits with 0 if
lookups are answered, clients can reach every socket and the socket unit, if it is
enabled, is active; with 1 if not; and with 2 if the daemon could not be asked or does
not answer within 5 seconds.`,
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
