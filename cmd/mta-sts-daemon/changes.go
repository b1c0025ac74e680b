package main

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

// defaultSince is how far back changes are shown.
const defaultSince = 7 * 24 * time.Hour

func newChanges(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	var kind string
	since := age(defaultSince)
	cmd := &cobra.Command{
		Use:        "changes",
		Short:      "Show what changed at the domains that the running daemon knows",
		SuggestFor: []string{"history"},
		Long: `changes lists what changed at the domains that the running daemon knows, the newest
change first. The kinds of changes:

found: a policy was fetched for the first time. changed: a new policy, with the old and
the new mode and the mx added and removed. downgraded: the new policy is not enforced any
more. expired: an enforced policy ended and there was no new one.

broken: the announced policy could not be fetched. recovered: it can be fetched again.

mismatch: no MX host matches the policy. mismatch-ended: one matches again.

purged: an operator removed the policy.

The last line names the time from which the list is complete: the daemon keeps the last
few thousand changes of each kind. If the output is not a terminal, each change is one
line.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if kind != "" && !slices.Contains(admin.Kinds(), kind) {
				return usageError("--kind %q is not a kind of change; the kinds are %s", kind, strings.Join(admin.Kinds(), ", "))
			}
			start := time.Now().Add(-time.Duration(since))
			h, err := connect(load).Changes(cmd.Context(), start)
			if err != nil {
				return failure(cmd, err)
			}
			h.Changes = slices.DeleteFunc(h.Changes, func(c admin.Change) bool { return kind != "" && c.Kind != kind })
			if asJSON {
				return printJSON(cmd, h)
			}
			return printChanges(cmd, h, start)
		},
	}
	cmd.Flags().Var(&since, "since", "ignore changes that are older than this, for example 90m, 12h, `7d`")
	cmd.Flags().StringVar(&kind, "kind", "", "only changes of the `kind`")
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(admin.Kinds(), cobra.ShellCompDirectiveNoFileComp))
	jsonFlag(cmd, &asJSON)
	return cmd
}

func printChanges(cmd *cobra.Command, h admin.History, start time.Time) error {
	if len(h.Changes) > 0 {
		if err := layout.OnLines(cmd.OutOrStdout()).Table(tabulateChanges(h.Changes)); err != nil {
			return err
		}
	}
	text := fmt.Sprintf("%s since %s", layout.Count(len(h.Changes), "change"), date(start))
	if h.Complete.After(start) {
		text += fmt.Sprintf("; complete only since %s", date(h.Complete))
	}
	cmd.Println(text + ".")
	return nil
}

// tabulateChanges makes a row of each change.
func tabulateChanges(changes []admin.Change) (header []string, rows [][]layout.Cell) {
	for _, c := range changes {
		rows = append(rows, []layout.Cell{
			layout.Text(date(c.At)), layout.Text(cmp.Or(c.Domain, "(all)")),
			{Text: c.Kind, Colour: kindColour(c.Kind)}, layout.Text(cmp.Or(c.About(), "-")),
		})
	}
	return []string{"TIME", "DOMAIN", "CHANGE", "DETAIL"}, rows
}

func kindColour(kind string) layout.Colour {
	switch kind {
	case "mismatch":
		return layout.Red
	case "downgraded", "expired", "broken", "purged":
		return layout.Yellow
	}
	return ""
}

// age is a flag's duration, with days as a further unit.
type age time.Duration

// String implements pflag.Value.
func (a *age) String() string {
	d := time.Duration(*a)
	if d == 0 {
		return "0" // help does not show it as a default
	}
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%dd", d/(24*time.Hour))
	}
	return d.String()
}

// Type implements pflag.Value.
func (a *age) Type() string { return "duration" }

// maxAge keeps a time so far back within what time.Duration holds.
const maxAge = 100 * 365 * 24 * time.Hour

// Set implements pflag.Value.
func (a *age) Set(text string) error {
	d, err := time.ParseDuration(text)
	if days, ok := strings.CutSuffix(text, "d"); ok {
		var n uint64
		n, err = strconv.ParseUint(days, 10, 16)
		d = time.Duration(n) * 24 * time.Hour
	}
	if err != nil || d < 0 || d > maxAge {
		return fmt.Errorf("want a time span such as 90m, 12h or 7d")
	}
	*a = age(d)
	return nil
}
