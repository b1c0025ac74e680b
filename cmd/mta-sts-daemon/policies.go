package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/explain"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

func newPolicies(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	var state string
	cmd := &cobra.Command{
		Use:        "policies [DOMAIN]",
		Short:      "Show the policies of the running daemon, and domains with problems",
		SuggestFor: []string{"list", "show", "cache"},
		Long: `policies lists the domains whose policy the running daemon keeps, and the domains that
announce a policy that cannot be used. Domains with a problem come first, totals last. If
the output is not a terminal, each domain is one line. With DOMAIN it prints all that the
daemon knows about this domain.

The column STATE has these words; --state selects one:

temp: Postfix gets TEMP, because DANE could not be looked up; mail is deferred.

mismatch: no MX host matches the enforced policy; mail is deferred.

failing: the last refresh failed; the policy applies until it expires. expiring: the
same, and it is an enforced policy that expires within 48 hours.

broken: the domain announces a policy that cannot be used; mail is sent without
protection. --state broken also looks up the address for reports about this.

expired: an enforced policy ended and there was no new one.

record-gone: the domain has no valid record any more; the policy applies until it
expires.

enforce, testing, none: the mode of a policy that has not expired.

The exit status is 1 if the daemon does not know DOMAIN, and 2 if no daemon could be
asked.`,
		Args: atMostOneArg,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && state != "" {
				return usageError("--state selects from the list: leave the domain out")
			}
			if state != "" && !slices.Contains(admin.States(), state) {
				return usageError("--state %q is not a state; the states are %s", state, strings.Join(admin.States(), ", "))
			}
			client := connect(load)
			if len(args) == 1 {
				d, err := client.Domain(cmd.Context(), args[0])
				if err != nil {
					return failure(cmd, err)
				}
				return printDomain(cmd, d, asJSON)
			}
			var all prospect
			selected, err := listPolicies(cmd.Context(), client, func(l admin.Listed) bool {
				all.add(l)
				return state == "" || slices.Contains(l.State, state)
			})
			if err != nil {
				return failure(cmd, err)
			}
			slices.SortStableFunc(selected, func(a, b admin.Listed) int { return cmp.Compare(urgency(a), urgency(b)) })
			if asJSON {
				return printJSON(cmd, selected)
			}
			contacts := map[string]string{}
			if state == admin.StateBroken {
				contacts = findContacts(cmd.Context(), load, selected)
			}
			if err := printPolicies(cmd, selected, all.domains, contacts); err != nil {
				return err
			}
			if all.monitor {
				cmd.Printf("Mode monitor answers NOTFOUND to every lookup. In mode enforce: %v.\n", all)
			}
			return nil
		},
		ValidArgsFunction: completeDomains(load),
	}
	cmd.Flags().StringVar(&state, "state", "", "only domains in the `state`")
	_ = cmd.RegisterFlagCompletionFunc("state", cobra.FixedCompletions(admin.States(), cobra.ShellCompDirectiveNoFileComp))
	jsonFlag(cmd, &asJSON)
	return cmd
}

// listPolicies returns the wanted ones of the domains that the daemon lists, by name. It
// keeps no others: there may be millions.
func listPolicies(ctx context.Context, client *admin.Client, wanted func(admin.Listed) bool) ([]admin.Listed, error) {
	list := []admin.Listed{}
	err := client.Policies(ctx, func(l admin.Listed) error {
		if wanted(l) {
			list = append(list, l)
		}
		return nil
	})
	slices.SortFunc(list, func(a, b admin.Listed) int { return cmp.Compare(a.Domain, b.Domain) })
	return list, err
}

// urgency is less the more a domain needs the operator; healthy ones are equal.
func urgency(l admin.Listed) int {
	healthy := slices.Index(admin.States(), admin.StateEnforce)
	if len(l.State) == 0 {
		return healthy
	}
	return min(slices.Index(admin.States(), l.State[0]), healthy)
}

func printPolicies(cmd *cobra.Command, selected []admin.Listed, all int, contacts map[string]string) error {
	switch {
	case all == 0:
		cmd.Println("No policies are known yet.")
		return nil
	case len(selected) == 0:
		cmd.Println("No domain is in that state.")
		return nil
	}
	header, rows := tabulate(selected, contacts, time.Now())
	if err := layout.OnLines(cmd.OutOrStdout()).Table(header, rows); err != nil {
		return err
	}
	cmd.Println(totals(selected))
	return nil
}

// tabulate makes a row of each domain.
func tabulate(selected []admin.Listed, contacts map[string]string, now time.Time) (header []string, rows [][]layout.Cell) {
	header = []string{"DOMAIN", "STATE", "EXPIRES", "MX", "PROBLEM"}
	if len(contacts) > 0 {
		header = append(header, "WRITE TO")
	}
	for _, l := range selected {
		row := []layout.Cell{
			layout.Text(l.Domain), {Text: strings.Join(l.State, ","), Colour: stateColour(l)}, layout.Text(expiry(l, now)),
			layout.Text(cmp.Or(strings.Join(l.MX, " "), "-")), layout.Text(cmp.Or(strings.Join(problems(l.Condition, &l.Policy), "; "), "-")),
		}
		if len(contacts) > 0 {
			row = append(row, layout.Text(contacts[l.Domain]))
		}
		rows = append(rows, row)
	}
	return header, rows
}

// Bounds of findContacts.
const (
	contactsAtOnce = 16
	contactsLimit  = 20 * time.Second
)

// findContacts asks the DNS whom to write to about each domain, as far as there is time.
func findContacts(ctx context.Context, load func() (config.Config, error), all []admin.Listed) map[string]string {
	cfg, err := load()
	if err != nil {
		return nil
	}
	c, err := clients.New(cfg, nil, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, contactsLimit)
	defer cancel()
	contacts := make([]string, len(all))
	var group errgroup.Group
	group.SetLimit(contactsAtOnce)
	for i, l := range all {
		group.Go(func() error {
			contacts[i] = explain.Contact(ctx, c.DNS, l.Domain)
			return nil
		})
	}
	group.Wait() // no contact is an error
	found := map[string]string{}
	for i, l := range all {
		found[l.Domain] = contacts[i]
	}
	return found
}

func stateColour(l admin.Listed) layout.Colour {
	switch {
	case slices.Contains(l.State, admin.StateTemp), slices.Contains(l.State, admin.StateMismatch):
		return layout.Red
	case urgency(l) < slices.Index(admin.States(), admin.StateEnforce):
		return layout.Yellow
	}
	return ""
}

func expiry(l admin.Listed, now time.Time) string {
	switch {
	case l.Expires.IsZero():
		return "-"
	case l.Expires.After(now):
		return "in " + span(l.Expires.Sub(now))
	}
	return span(now.Sub(l.Expires)) + " ago"
}

// problems lists the problems of a domain. p is nil if it has no policy.
func problems(c admin.Condition, p *admin.Policy) (all []string) {
	for _, d := range c.Deferred {
		all = append(all, fmt.Sprintf("TEMP for %s since %s: %s", d.NextHop, date(d.Since), d.Reason))
	}
	if !c.Mismatch.IsZero() {
		text := "no MX host matches since " + date(c.Mismatch)
		if c.MismatchLookups > 0 {
			text += ", " + layout.Count(c.MismatchLookups, "lookup")
		}
		all = append(all, text)
	}
	if f := c.Failure; f != nil {
		text := cmp.Or(f.Result, "could not be fetched")
		if !f.Since.IsZero() {
			text += " since " + date(f.Since)
		}
		if f.Lookups > 0 {
			text += ", " + layout.Count(f.Lookups, "lookup")
		}
		if f.Reason != "" {
			text += ": " + f.Reason
		}
		all = append(all, text)
	}
	if p != nil && p.TCPTable != "" {
		all = append(all, "answer over tcp_table: "+p.TCPTable)
	}
	if !c.RecordGone.IsZero() {
		all = append(all, "no valid record since "+date(c.RecordGone))
	}
	if c.Reason != "" {
		all = append(all, c.Reason)
	}
	return all
}

// totals counts the domains by state.
func totals(all []admin.Listed) string {
	count := map[string]int{}
	for _, l := range all {
		for _, word := range l.State {
			count[word]++
		}
	}
	var parts []string
	for _, word := range admin.States() {
		if n := count[word]; n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, word))
		}
	}
	return fmt.Sprintf("%s: %s", layout.Count(len(all), "domain"), strings.Join(parts, ", "))
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
	say("State", strings.Join(d.State, ", "))
	switch p := d.Policy; {
	case p != nil:
		say("Policy", fmt.Sprintf("%s, id %s, max_age %d s", p.Mode, p.ID, p.MaxAge))
		say("MX", strings.Join(p.MX, "\n"))
		say("Answer", p.Answer)
		if p.Withheld != "" {
			say("Monitor mode", "withholds "+p.Withheld)
		}
		say("Fetched", when(p.Fetched, now))
		say("Expires", when(p.Expires, now))
		say("Record asked for", "at the first lookup after "+when(p.Recheck, now))
		say("Fetched again", when(p.Refresh, now))
		say("Last lookup", when(p.Used, now))
	case !d.NoneUntil.IsZero():
		say("Policy", "known to have none until "+when(d.NoneUntil, now))
	case d.Failure != nil:
		say("Policy", "announced, but it cannot be used")
	case !d.Retry.IsZero():
		say("Policy", "not known; a lookup asks again after "+when(d.Retry, now))
	default:
		say("Policy", "none is kept; the next lookup looks for one")
	}
	for _, problem := range problems(d.Condition, d.Policy) {
		rows = append(rows, [2]layout.Cell{layout.Text("Problem"), {Text: problem, Colour: layout.Yellow}})
	}
	if f := d.Failure; f != nil && !f.Retry.IsZero() {
		say("Next attempt", "after "+when(f.Retry, now))
	}
	for _, v := range d.DANE {
		say("DANE", fmt.Sprintf("%s: %s until %s", v.NextHop, v.Kind, when(v.Until, now)))
	}
	return layout.On(cmd.OutOrStdout()).List(rows)
}

// completeDomains completes the names of the domains that the running daemon lists.
func completeDomains(load func() (config.Config, error)) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		list, err := listPolicies(cmd.Context(), connect(load), func(l admin.Listed) bool { return strings.HasPrefix(l.Domain, prefix) })
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		var names []cobra.Completion
		for _, l := range list {
			names = append(names, l.Domain)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
}
