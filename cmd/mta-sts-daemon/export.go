package main

import (
	"bufio"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

func newExport(load func() (config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "export",
		Short: "Print the policies that the running daemon keeps as a Postfix table",
		Long: `export prints what Postfix is told of every domain whose policy the running
daemon keeps, and the configuration's overrides, as a table that Postfix reads
(texthash): for another host, or to do without the daemon for a while. Nobody
renews its lines. Where DANE goes before a policy the line says so, which is for a
Postfix that does DANE. In mode monitor there are none.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load()
			if err != nil {
				return err
			}
			all, err := allPolicies(cmd.Context(), connect(load))
			if err != nil {
				return failure(cmd, err)
			}
			table := map[string]string{}
			for _, p := range all {
				if policy, ok := strings.CutPrefix(p.Answer, "OK "); ok {
					table[p.Domain] = policy
				}
			}
			if cfg.Mode != config.ModeMonitor {
				for key, o := range cfg.Overrides {
					if !o.NotFound && (o.Until.IsZero() || time.Now().Before(o.Until)) {
						table[key.String()] = o.Policy
					}
				}
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			for _, key := range slices.Sorted(maps.Keys(table)) {
				fmt.Fprintf(out, "%s %s\n", key, table[key])
			}
			return out.Flush()
		},
	}
}
