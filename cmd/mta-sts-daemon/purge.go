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
			var err error
			if all {
				err = client.PurgeAll(cmd.Context())
			} else {
				err = client.Purge(cmd.Context(), args[0])
			}
			if err != nil {
				return failure(cmd, err)
			}
			cmd.Println("Forgotten.")
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "forget every domain")
	return cmd
}
