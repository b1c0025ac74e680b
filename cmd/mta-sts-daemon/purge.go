package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

var errWhat = errors.New("name a domain, or say --all")

func newPurge(load func() (config.Config, error)) *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "purge DOMAIN | --all",
		Short: "Have the running daemon forget a domain, or all",
		Long: `purge has the running daemon forget what it knows of a domain, on disk too. The
next lookup discovers it anew; should that fail, mail is sent as without a
policy, so use refresh where that does.`,
		Args: func(_ *cobra.Command, args []string) error {
			if all != (len(args) == 0) || len(args) > 1 {
				return errWhat
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client := connect(load)
			if all {
				purged, err := client.PurgeAll(cmd.Context())
				if err != nil {
					return failure(cmd, err)
				}
				cmd.Printf("Purged %d policies.\n", purged.Policies)
				return nil
			}
			if err := client.Purge(cmd.Context(), args[0]); err != nil {
				return failure(cmd, err)
			}
			cmd.Println("Purged.")
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "forget every domain")
	return cmd
}
