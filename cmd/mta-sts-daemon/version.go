package main

import (
	"runtime"

	"github.com/spf13/cobra"
)

const version = "0.1.0"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  cobra.NoArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			cmd.Printf("mta-sts-daemon %s (%s)\n", version, runtime.Version())
		},
	}
}
