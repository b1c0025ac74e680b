package main

import (
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/doctor"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

func newDoctor(load func() (config.Config, error), file func() string) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Examine this host's settings for faults that hurt mail",
		Long: `doctor reads the settings of this host's Postfix, of all its instances, by postconf.
It asks every server in smtp_tls_policy_maps as Postfix would, the running daemon and
the resolver, and examines the configuration and the clock. It changes nothing. Each
finding has its remedy, often a command for the shell; what else may be done is in
parentheses after it. Run it as root, so that it can read everything.

Overrides are listed with their age, which is at least that of the file's last
change. For each that weakens a domain's protection doctor looks whether the domain
has a working policy again.

It exits with 0 if nothing hurts mail, with 1 if mail is deferred or sent without the
protection that it could have, and with 2 if it found nothing of that kind but could
not examine everything.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				cfg = config.Default()
			}
			report := doctor.Examine(cmd.Context(), doctor.Host{Config: cfg, ConfigFile: file(), ConfigError: err, Daemon: connect(load)})
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
