package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

func newPolicies(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "policies [DOMAIN]",
		Short: "Show the policies that the running daemon keeps",
		Long: `policies lists the policies that the running daemon keeps or, of one domain, all
that it knows. It exits with 1 where it knows nothing of the domain, and with 2
where no daemon could be asked.`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			client := connect(load)
			if len(args) == 1 {
				d, err := client.Domain(cmd.Context(), args[0])
				if err != nil {
					return failure(cmd, err)
				}
				return printDomain(cmd, d, asJSON)
			}
			all, err := allPolicies(cmd.Context(), client)
			if err != nil {
				return failure(cmd, err)
			}
			if asJSON {
				return printJSON(cmd, all)
			}
			return printPolicies(cmd, all)
		},
	}
	jsonFlag(cmd, &asJSON)
	return cmd
}

// allPolicies returns the daemon's policies by domain.
func allPolicies(ctx context.Context, client *admin.Client) ([]admin.Policy, error) {
	all := []admin.Policy{}
	err := client.Policies(ctx, func(p admin.Policy) error {
		all = append(all, p)
		return nil
	})
	slices.SortFunc(all, func(a, b admin.Policy) int { return cmp.Compare(a.Domain, b.Domain) })
	return all, err
}

func printPolicies(cmd *cobra.Command, all []admin.Policy) error {
	if len(all) == 0 {
		cmd.Println("No policies are known yet.")
		return nil
	}
	now := time.Now()
	var rows [][]layout.Cell
	for _, p := range all {
		rows = append(rows, []layout.Cell{
			layout.Text(p.Domain), layout.Text(p.Mode), life(p, now), layout.Text(strings.Join(p.MX, " ")),
		})
	}
	return layout.On(cmd.OutOrStdout()).Table([]string{"DOMAIN", "MODE", "EXPIRES", "MX"}, rows)
}

// life says how long a policy holds, and what is wrong with it.
func life(p admin.Policy, now time.Time) layout.Cell {
	switch {
	case !p.Expires.After(now):
		return layout.Cell{Text: "expired", Colour: layout.Yellow}
	case p.Failures > 0:
		return layout.Cell{Text: "in " + span(p.Expires.Sub(now)) + ", cannot be renewed", Colour: layout.Yellow}
	default:
		return layout.Text("in " + span(p.Expires.Sub(now)))
	}
}

func printDomain(cmd *cobra.Command, d admin.Domain, asJSON bool) error {
	if asJSON {
		return printJSON(cmd, d)
	}
	now := time.Now()
	var rows [][2]layout.Cell
	say := func(label, text string) {
		rows = append(rows, [2]layout.Cell{layout.Text(label), layout.Text(text)})
	}
	say("Domain", d.Domain)
	switch p := d.Policy; {
	case p != nil:
		say("Policy", fmt.Sprintf("%s, id %s, max_age %d s", p.Mode, p.ID, p.MaxAge))
		say("MX", strings.Join(p.MX, "\n"))
		say("Postfix is told", p.Answer)
		say("Fetched", when(p.Fetched, now))
		say("Expires", when(p.Expires, now))
		say("Record asked for", "at the first lookup after "+when(p.Recheck, now))
		say("Fetched again", when(p.Refresh, now))
		say("Last lookup", when(p.Used, now))
		if p.Failures > 0 {
			say("Cannot be renewed", fmt.Sprintf("%d failures in a row; \"query\" says why", p.Failures))
		}
	case !d.NoneUntil.IsZero():
		say("Policy", "known to have none until "+when(d.NoneUntil, now))
		if d.FailedID != "" {
			say("Cannot be fetched", fmt.Sprintf("for id %s; \"query\" says why", d.FailedID))
		}
	default:
		say("Policy", "none is kept")
	}
	for _, v := range d.DANE {
		say("DANE", fmt.Sprintf("%s: %s until %s", v.NextHop, v.Kind, when(v.Until, now)))
	}
	return layout.On(cmd.OutOrStdout()).List(rows)
}
