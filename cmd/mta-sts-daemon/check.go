package main

import (
	"log/slog"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/admin"
	"mta-sts-daemon/cmd/internal/clients"
	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/publish"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/dane"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
	"mta-sts-daemon/socketmap/tlspolicy"
)

func newCheck(load func() (config.Config, error)) *cobra.Command {
	var asJSON, quiet bool
	var reference string
	cmd := &cobra.Command{
		Use:   "check DOMAIN...",
		Short: "Check what a domain publishes: policy, MX hosts and their certificates, DANE, TLSRPT",
		Long: `check is for those who publish a policy for their own domains. It checks the record, the
policy, and its delivery by each address of the policy host. It connects to port 25 of
each address of each MX host, and checks STARTTLS, TLS version, certificate and TLSA
records. If a daemon runs here, check also uses what that knows about the domain.
docs/publishing.md lists the checks.

Each finding is one line with its remedy. Findings that stop mail come first. A fault
must be repaired. Advice is about something that will become a fault, or that protects
less than it could. "not judged" could not be checked from this host.

Many networks block port 25. If no MX host answers, check cannot know whether the MX
hosts or this network are the cause. --reference names a mail host that is known to
answer.

The exit status is 0 if nothing needs to be done, 1 for advice, 2 for faults, and 3 if
something could not be checked and nothing worse was found.

For cron: with --quiet it prints nothing if there is no finding.`,
		Args:              someArgs("DOMAIN..."),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			domains, err := parseDomains(args)
			if err != nil {
				return err
			}
			if reference != "" {
				if reference, err = parseHost(reference); err != nil {
					return err
				}
			}
			c, memory, err := publishers(load)
			if err != nil {
				cmd.PrintErrln("mta-sts-daemon:", err)
				return exitStatus(publish.ExitUnjudged)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			o := publish.Options{Memory: memory, Reference: reference}
			if bar := newBar(cmd, "Checking", len(domains)); bar != nil {
				o.Progress = func() { bar.Add(1) }
				defer bar.Exit()
			}
			reports := publish.Check(ctx, c, domains, o)
			if ctx.Err() != nil {
				cmd.PrintErrln("mta-sts-daemon: interrupted")
				return exitStatus(publish.ExitUnjudged)
			}
			if asJSON {
				err = printJSON(cmd, reports)
			} else {
				err = publish.Print(layout.OnLines(cmd.OutOrStdout()), reports, quiet)
			}
			if err != nil {
				return err
			}
			return orStatus(publish.ExitStatus(reports...))
		},
	}
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print nothing if nothing needs to be done")
	cmd.Flags().StringVar(&reference, "reference", "", "a mail `host` that is known to answer on port 25")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// orStatus returns the error that ends the program with that status.
func orStatus(status int) error {
	if status == 0 {
		return nil
	}
	return exitStatus(status)
}

// publishers makes what check and generate need.
func publishers(load func() (config.Config, error)) (clients.Clients, publish.Memory, error) {
	cfg, err := load()
	if err != nil {
		return clients.Clients{}, nil, err
	}
	c, err := clients.New(cfg, nil, slog.New(slog.DiscardHandler))
	return c, admin.NewClient(admin.Find(cfg.Admin), nil), err
}

// parseDomains reads policy domains, each once.
func parseDomains(args []string) (domains []mtasts.Domain, err error) {
	seen := map[mtasts.Domain]bool{}
	for _, arg := range args {
		hop, ok := tlspolicy.ParseKey(arg)
		if !ok || !hop.MX || hop.Port != dane.SMTPPort {
			return nil, notDomain(arg)
		}
		if !seen[hop.Domain] {
			domains = append(domains, hop.Domain)
		}
		seen[hop.Domain] = true
	}
	return domains, nil
}

func parseHost(name string) (string, error) {
	d, err := mtasts.ParseDomain(name)
	if err != nil {
		return "", usageError("--reference: %s is not a host name", printable.Quote(name))
	}
	return d.String(), nil
}
