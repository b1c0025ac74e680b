package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/daemon"
	"mta-sts-daemon/cmd/internal/moveover"
	"mta-sts-daemon/config"
)

// newCheckConfig returns check-config. file is the configuration's; it may be missing if
// the default one is meant.
func newCheckConfig(load func() (config.Config, error), file func() string) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "check-config",
		Short: "Check the configuration",
		Long: `check-config reads the configuration as serve does, and the files that it names:
certificate authorities, password, key. It prints the environment variables that set a
key. It also checks that no two listeners have the same address, and that the
socket_group exists on this host.

It exits with 0 if all is valid, else with 1. For each fault it prints file, line and
key, or the key whose file cannot be used.

A warning is about something with which the daemon can start, but which is probably a
mistake: no certificate authorities, a CA file with a certificate that cannot be read, no
address for lookups, metrics that every network can read, a status page without an
address, authorities for a shared store without TLS, an override that has ended, a
variable MTA_STS_... that sets no key.

The daemon runs as another user, who must be able to read the files too. Files that
systemd makes only while the daemon runs (LoadCredential=) may be missing.

With --from it reads a configuration of postfix-tlspol or postfix-mta-sts-resolver
and prints the same configuration for mta-sts-daemon. Comments name settings that have no
counterpart.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if from != "" {
				return printTranslation(cmd, from)
			}
			cfg, err := load()
			if err != nil {
				return err
			}
			found, warnings := clients.CheckFiles(cfg)
			faults, more := daemon.CheckListeners(cfg)
			set, unknown := config.Variables(os.Environ())
			warnings = append(warnings, more...)
			warnings = append(warnings, endedOverrides(cfg)...)
			for _, variable := range unknown {
				cmd.Println("Warning:", variable)
			}
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
			if len(set) > 0 {
				cmd.Println("Set by the environment:", strings.Join(set, ", "))
			}
			if _, err := os.Stat(file()); errors.Is(err, fs.ErrNotExist) {
				cmd.Printf("There is no %s. The defaults apply and are valid.\n", file())
				return nil
			}
			cmd.Printf("The configuration in %s is valid.\n", file())
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "translate the configuration of postfix-tlspol or postfix-mta-sts-resolver in `file`")
	return cmd
}

// endedOverrides returns a warning for each override whose until has passed.
func endedOverrides(cfg config.Config) (warnings []error) {
	for key, o := range cfg.Overrides {
		if !o.Until.IsZero() && !time.Now().Before(o.Until) {
			warnings = append(warnings, fmt.Errorf("overrides.%v: it ended at %s and has no effect any more: remove it", key, date(o.Until)))
		}
	}
	slices.SortFunc(warnings, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return warnings
}

// printTranslation prints our configuration for the one of another program.
func printTranslation(cmd *cobra.Command, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if own, err := config.Parse(file, text, nil); err == nil && own.Text() != "" {
		return fmt.Errorf("%s: this is a configuration of mta-sts-daemon itself: check it with -c %s check-config", file, file)
	}
	t, err := moveover.Translate(text)
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	cmd.Print(t.Text(file))
	return nil
}
