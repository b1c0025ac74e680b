package main

import (
	"fmt"
	"runtime"

	"github.com/spf13/cobra"
)

// version is the one place that has it; the Makefile reads it here and may put
// another in its place when it links.
var version = "0.1.0"

func newVersion() *cobra.Command {
	return &cobra.Command{
		Use:   "version",
		Short: "Print the version",
		Args:  noArgs,
		Run: func(cmd *cobra.Command, _ []string) {
			cmd.Print(versionText())
		},
	}
}

func versionText() string {
	return fmt.Sprintf("mta-sts-daemon %s (%s)\n", version, runtime.Version())
}
