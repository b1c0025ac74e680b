package main

import (
	"cmp"
	"errors"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

const defaultConfigFile = "/etc/mta-sts-daemon/config.yaml"

// newRoot puts the commands together. Without one the program serves.
func newRoot() *cobra.Command {
	var file string
	// load reads the file named, or the default one if it exists, and the environment.
	load := func() (config.Config, error) {
		if file != "" {
			return config.Load(file, os.Environ())
		}
		c, err := config.Load(defaultConfigFile, os.Environ())
		if errors.Is(err, fs.ErrNotExist) {
			return config.Parse("", nil, os.Environ())
		}
		return c, err
	}
	path := func() string { return cmp.Or(file, defaultConfigFile) }
	serve := newServe(load)
	root := &cobra.Command{
		Use:   "mta-sts-daemon",
		Short: "Answer Postfix's TLS policy lookups from MTA-STS policies (RFC 8461)",
		Long: `mta-sts-daemon answers the lookups of Postfix's smtp_tls_policy_maps with MTA-STS
policies (RFC 8461). It finds, fetches and caches the policies of the domains to which
Postfix sends mail. Without a command it runs serve.`,
		Version:       version,
		Args:          noCommand,
		RunE:          serve.RunE,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate(versionText())
	root.SetFlagErrorFunc(flagError)
	root.PersistentFlags().StringVarP(&file, "config", "c", "",
		"configuration `file` (default "+defaultConfigFile+", which may be missing)")
	root.CompletionOptions.HiddenDefaultCmd = true // packages bring the completions
	root.AddCommand(serve, newQuery(load),
		newPolicies(load), newRefresh(load), newPurge(load), newChanges(load), newReload(load), newExport(load), newWarm(load),
		newOutcomes(load), newCheck(load), newGenerate(load), newReports(), newCheckConfig(load, path), newDoctor(load, path), newHealthcheck(load), newVersion(), newManual())
	root.InitDefaultHelpCmd()
	if help, _, err := root.Find([]string{"help"}); err == nil {
		help.Args = knownCommand
	}
	return root
}
