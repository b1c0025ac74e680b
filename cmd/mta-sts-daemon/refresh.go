package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

func newRefresh(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "refresh DOMAIN",
		Short: "Have the running daemon fetch a domain's policy now",
		Long: `refresh has the running daemon fetch a domain's policy now, however recently that
was done or failed. It exits with 1 if the policy could not be fetched, which leaves
the one before in force, and with 2 if no daemon could be asked.`,
		Args:              oneArg("DOMAIN"),
		ValidArgsFunction: completeDomains(load),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := connect(load).Refresh(cmd.Context(), args[0])
			if err != nil {
				return failure(cmd, err)
			}
			return printDomain(cmd, d, asJSON)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
