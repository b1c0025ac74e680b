package main

import (
	"errors"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/config"
)

func newCheckConfig(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "check-config",
		Short: "Say whether the configuration is valid",
		Long: `check-config reads the configuration as serve would, and the files that it names:
authorities, password, key. It exits with 0 if all is valid, else with 1 after
naming each fault: file, line and key, or the key whose file cannot be used. It warns
of what the daemon starts with although no policy can be fetched: no authorities, or
a CA file with a certificate that cannot be read. The
daemon's user must be able to read what check-config could read as another. Files
that systemd makes only while the daemon runs (LoadCredential=) are not missed.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			found, warnings := clients.CheckFiles(cfg)
			var faults []error
			for _, fault := range found {
				if errors.Is(fault, clients.ErrCredential) {
					cmd.Println("Not checked:", fault)
				} else {
					faults = append(faults, fault)
				}
			}
			for _, warning := range warnings {
				cmd.Println("Warning:", warning)
			}
			if err := errors.Join(faults...); err != nil {
				return err
			}
			cmd.Println("The configuration is valid.")
			return nil
		},
	}
}
