package main

import (
	"strings"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

func newReload(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "reload",
		Short: "Make the running daemon load its configuration again",
		Long: `reload makes the running daemon load its configuration again, and waits for the result.
If the daemon refuses the configuration, the old one stays in force; reload prints the
reason and exits with 1. It exits with 2 if no daemon could be asked.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			done, err := connect(load).Reload(cmd.Context())
			if err != nil {
				return failure(cmd, err)
			}
			if len(done.NeedRestart) > 0 {
				cmd.Printf("Loaded, but a restart is needed for: %s\n", strings.Join(done.NeedRestart, ", "))
				return nil
			}
			cmd.Println("Loaded.")
			return nil
		},
	}
}
