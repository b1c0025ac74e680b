package main

import (
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/publish"
	"mta-sts-daemon/config"
	"mta-sts-daemon/resolver/mtasts"
	"mta-sts-daemon/resolver/printable"
)

func newGenerate(load func() (config.Config, error)) *cobra.Command {
	var asJSON bool
	var stage, output, reference string
	var r publish.Request
	keep := age(publish.DefaultMaxAge)
	cmd := &cobra.Command{
		Use:   "generate DOMAIN",
		Short: "Generate a policy for a domain, with its records, web server configuration and plan",
		Long: `generate looks up and checks the MX hosts of a domain as check does. It prints a policy
that names them, the TXT record with a new id, the TLSRPT record, configuration for nginx
and Caddy, and the steps to take. It changes nothing; with --output it writes files that
nginx and Caddy can use without changes. It replaces those of an earlier stage, except a
changed nginx.conf or Caddyfile.

Begin with --stage testing: senders report failures and deliver mail as before. If the
reports show no failures, use --stage enforce. --stage remove withdraws the policy in the
steps of RFC 8461 section 8.3; the waiting times come from max_age.

It refuses a policy that the MX hosts do not satisfy, and prints why. If port 25 is
blocked here, it names what it could not verify.

The exit status is 0 if all was verified, 2 if it refused, and 3 if something could not be
verified.`,
		Args:              oneArg("DOMAIN"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			domains, err := parseDomains(args)
			if err != nil {
				return err
			}
			if r.Stage = publish.Stage(stage); !slices.Contains(publish.Stages(), r.Stage) {
				return usageError("--stage %s is not a stage; the stages are %s", printable.Quote(stage), stageNames())
			}
			if r.MaxAge = time.Duration(keep).Truncate(time.Second); r.MaxAge <= 0 || r.MaxAge > mtasts.MaxMaxAge {
				return usageError("--max-age: want a time span from one second to a year")
			}
			if r.RUA != "" {
				if err := publish.ValidRUA(r.RUA); err != nil {
					return usageError("--rua: %v", err)
				}
			}
			if reference != "" {
				if reference, err = parseHost(reference); err != nil {
					return err
				}
			}
			if output != "" {
				if r.Directory, err = filepath.Abs(output); err != nil {
					return err
				}
				if strings.Trim(r.Directory, plainPath) != "" {
					return usageError("--output: %s has characters that would need quoting in the web server's configuration", printable.Quote(r.Directory))
				}
			}
			c, memory, err := publishers(load)
			if err != nil {
				cmd.PrintErrln("mta-sts-daemon:", err)
				return exitStatus(publish.ExitUnjudged)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			done := showProgress(cmd, args[0])
			p := publish.Generate(ctx, c, domains[0], r, publish.Options{Memory: memory, Reference: reference})
			done()
			if ctx.Err() != nil {
				cmd.PrintErrln("mta-sts-daemon: interrupted")
				return exitStatus(publish.ExitUnjudged)
			}
			if asJSON {
				err = printJSON(cmd, p)
			} else {
				err = p.Print(layout.OnLines(cmd.OutOrStdout()))
			}
			if err != nil {
				return err
			}
			if output != "" && len(p.Refused) == 0 {
				files, kept, err := p.Write(r.Directory)
				if err != nil {
					return err
				}
				if len(kept) > 0 {
					cmd.PrintErrln("Not replaced, because it was changed:", strings.Join(kept, " "))
				}
				cmd.PrintErrln("Written:", strings.Join(files, " "))
			}
			return orStatus(p.ExitStatus())
		},
	}
	cmd.Flags().StringVar(&stage, "stage", string(publish.StageTesting), "the `stage`: "+stageNames())
	cmd.Flags().StringVar(&output, "output", "", "write files into the `directory`")
	cmd.Flags().StringArrayVar(&r.MX, "mx", nil, "a `pattern` to use in place of the names of the MX hosts; may be repeated")
	cmd.Flags().Var(&keep, "max-age", "how long senders keep the policy, a `time` such as 14d")
	cmd.Flags().StringVar(&r.RUA, "rua", "", "the `URI` for reports (default the published one, else mailto:tlsrpt@DOMAIN)")
	cmd.Flags().StringVar(&reference, "reference", "", "a mail `host` that is known to answer on port 25")
	_ = cmd.RegisterFlagCompletionFunc("stage", cobra.FixedCompletions(strings.Split(stageNames(), ", "), cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.MarkFlagDirname("output")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// plainPath are the characters of a path that nginx and Caddy take as they are.
const plainPath = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-"

func stageNames() string {
	var names []string
	for _, s := range publish.Stages() {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}
