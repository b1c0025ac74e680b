package main

import (
	"bufio"
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/config"
)

func newExport(load func() (config.Config, error)) *cobra.Command {
	var asEnforce bool
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Print the policies that the running daemon keeps as a Postfix table",
		Long: `export prints the reply to Postfix for every domain whose policy the running
daemon keeps, and the configuration's overrides, as a table that Postfix reads
(texthash): for another host, or to do without the daemon for a while. Nobody
refreshes its lines. If DANE takes precedence over a policy the line says so, which is
for a Postfix that does DANE.

In mode monitor every reply is NOTFOUND, so the table is empty. --as-enforce prints
what mode enforce would answer, and counts on standard error what would become of
mail to the domains.`,
		Args: noArgs,
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
			var sum prospect
			for _, p := range all {
				answer := p.Answer
				if asEnforce {
					answer = cmp.Or(p.Withheld, answer)
				}
				sum.add(p)
				if policy, ok := strings.CutPrefix(answer, "OK "); ok && p.Mode != "" {
					table[p.Domain] = policy
				}
			}
			if asEnforce {
				cmd.PrintErrln("In mode enforce:", sum)
			}
			if cfg.Mode != config.ModeMonitor || asEnforce {
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
	cmd.Flags().BoolVar(&asEnforce, "as-enforce", false, "in mode monitor, print what mode enforce would answer")
	return cmd
}
