package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/doctor"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

func newDoctor(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look whether mail suffers by how this host is set up",
		Long: `doctor reads this host's Postfix by postconf, asks the daemon as Postfix would,
asks the resolver, and looks at the configuration and the clock. It changes
nothing. Each finding comes with its remedy; run it as root, so that it may look
at everything.

It exits with 0 where nothing hurts mail, with 1 where mail is deferred or sent
without the protection there is, and with 2 where it found nothing of that kind
but could not look at everything.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				cfg = config.Default()
			}
			report := doctor.Examine(cmd.Context(), doctor.Host{Config: cfg, ConfigError: err, Daemon: connect(load)})
			print := func() error { return report.Print(layout.On(cmd.OutOrStdout())) }
			if asJSON {
				print = func() error { return printJSON(cmd, report) }
			}
			if err := print(); err != nil {
				return err
			}
			if status := report.ExitStatus(); status != 0 {
				return exitStatus(status)
			}
			return nil
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}
