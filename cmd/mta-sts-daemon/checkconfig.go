package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

func newCheckConfig(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "check-config",
		Short: "Say whether the configuration is valid",
		Long: `check-config reads the configuration as serve would. It exits with 0 where that
is valid, else with 1 after naming file, line and key of each fault.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, err := load(); err != nil {
				return err
			}
			cmd.Println("The configuration is valid.")
			return nil
		},
	}
}
