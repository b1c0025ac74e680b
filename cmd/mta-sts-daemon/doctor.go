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
		Use:        "doctor",
		Short:      "Check this host: Postfix, resolver and daemon",
		SuggestFor: []string{"status", "diagnose"},
		Long: `doctor checks this host: the settings of all instances of Postfix (by postconf), every
server in smtp_tls_policy_maps, which it asks as Postfix does, the running daemon, the
resolver, the configuration and the clock. It changes nothing. Each problem has a remedy,
often a command for the shell; alternatives follow in parentheses. Run it as root:
otherwise it cannot read everything.

Overrides are listed with their age, which is at least the time since the file was
changed. For each override that weakens the protection of a domain, doctor checks whether
the domain has a working policy again.

The exit status is 0 if nothing hurts mail, 1 if mail is deferred or sent without
protection that it could have, and 2 if no such problem was found, but something could not
be checked.`,
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
