package main

import (
	"bufio"
	"os"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/config"
)

func newPurge(load func() (config.Config, error)) *cobra.Command {
	var all, yes bool
	cmd := &cobra.Command{
		Use:        "purge DOMAIN | --all",
		Short:      "Remove what the running daemon knows about a domain, or about all",
		SuggestFor: []string{"flush", "clear", "delete", "remove"},
		Long: `purge removes all that the running daemon knows about a domain, also from its policy
file. The next lookup discovers the domain again. If that fails, mail is sent without
protection: to get the newest policy, use refresh.

purge --all removes every policy. On a terminal it asks first; elsewhere it needs
--yes. It prints how many policies were removed.`,
		Args: func(_ *cobra.Command, args []string) error {
			if all != (len(args) == 0) || len(args) > 1 {
				return usageError("name one domain, or use --all")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			client := connect(load)
			if !all {
				if err := client.Purge(cmd.Context(), args[0]); err != nil {
					return failure(cmd, err)
				}
				cmd.Println("Purged.")
				return nil
			}
			if !yes {
				if sure, err := confirmPurge(cmd, client); err != nil || !sure {
					return err
				}
			}
			purged, err := client.PurgeAll(cmd.Context())
			if err != nil {
				return failure(cmd, err)
			}
			cmd.Printf("Purged %s.\n", layout.Count(purged.Policies, "policy"))
			return nil
		},
		ValidArgsFunction: completeDomains(load),
	}
	cmd.Flags().BoolVar(&all, "all", false, "remove every domain")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask (with --all)")
	return cmd
}

// confirmPurge asks whether to purge all domains. An error has been printed, or
// means that there is no terminal to ask on.
func confirmPurge(cmd *cobra.Command, client *admin.Client) (bool, error) {
	stdin, ok := cmd.InOrStdin().(*os.File)
	if !ok || !term.IsTerminal(int(stdin.Fd())) {
		return false, usageError("purge --all needs --yes if its input is not a terminal")
	}
	status, err := client.Status(cmd.Context())
	if err != nil {
		return false, failure(cmd, err)
	}
	cmd.PrintErrf("Remove %s? Until each domain is discovered again, mail to it may be sent without protection. [y/N] ",
		layout.Count(status.Policies, "policy"))
	answer, _ := bufio.NewReader(stdin).ReadString('\n')
	switch strings.ToLower(strings.TrimSpace(answer)) {
	case "y", "yes":
		return true, nil
	}
	cmd.PrintErrln("Nothing was purged.")
	return false, exitFailed
}
