package main

import (
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/manual"
)

// newManual is for those who build packages.
func newManual() *cobra.Command {
	var date string
	cmd := &cobra.Command{
		Use:    "manual DIR",
		Short:  "Write manual pages, completions and the example configuration into a directory",
		Hidden: true,
		Args:   oneArg("DIRECTORY"),
		RunE: func(cmd *cobra.Command, args []string) error {
			edition := manual.Edition{Version: version}
			if date != "" {
				var err error
				if edition.Date, err = time.Parse(time.DateOnly, date); err != nil {
					return err
				}
			}
			return manual.Write(args[0], cmd.Root(), edition)
		},
	}
	cmd.Flags().StringVar(&date, "date", "", "the pages' `date`, 2006-01-02")
	return cmd
}
