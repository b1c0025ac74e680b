package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

func newRefresh(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "refresh DOMAIN",
		Short: "Make the running daemon fetch a domain's policy now",
		Long: `refresh makes the running daemon fetch the policy of a domain now, also if the last
fetch or failure was a moment ago. It exits with 1 if the policy could not be fetched (the
known policy then still applies), and with 2 if no daemon could be asked.`,
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
