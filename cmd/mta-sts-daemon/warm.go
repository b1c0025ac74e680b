package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"mta-sts-daemon/cmd/internal/layout"
	"mta-sts-daemon/cmd/internal/warm"
	"mta-sts-daemon/config"
	"mta-sts-daemon/socketmap"
)

func newWarm(load func() (config.Config, error)) *cobra.Command {
	var o warm.Options
	var asJSON bool
	var other string
	cmd := &cobra.Command{
		Use:   "warm FILE | -",
		Short: "Make the running daemon look up a list of domains",
		Long: `warm makes the running daemon look up each domain of a list, one in each line, so that
policies are known before mail is sent. Domains that are known already take no time. If
it is interrupted, it prints the line from which to continue.

With --compare it also asks another program over socketmap, for example the one that
this daemon is to replace, and prints each domain for which Postfix would do something
else. It asks both by the map name QUERY.

The exit status is 0 if all domains were looked up and none differs, 1 if some could not
be looked up, some differ or it was interrupted, and 2 if no daemon could be asked.`,
		Args: oneArg("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if min(o.Rate, o.Concurrency) < 1 || max(o.Rate, o.Concurrency) > warm.MaxRate {
				return usageError("--rate and --concurrency must be 1 to %d", warm.MaxRate)
			}
			if o.From < 1 {
				return usageError("--from must be 1, the first line, or more")
			}
			address, err := config.ParseAddress(other)
			if other != "" && err != nil {
				return usageError("--compare: %v", err)
			}
			ctx, stop := signal.NotifyContext(cmd.Context(), os.Interrupt, syscall.SIGTERM)
			defer stop()
			client := connect(load)
			if err := client.Health(ctx); err != nil {
				return failure(cmd, err)
			}
			list, total, err := openList(args[0], cmd.InOrStdin(), o.From)
			if err != nil {
				return err
			}
			defer list.Close()
			if bar := newBar(cmd, "Looking up", total); bar != nil {
				defer bar.Exit()
				o.Progress = func() { bar.Add(1) }
			}
			ask := func(ctx context.Context, mapName, key string) (string, error) {
				found, err := client.Lookup(ctx, socketmap.MapName{Name: mapName}, key)
				return cmp.Or(found.Withheld, found.Answer), err
			}
			if other != "" {
				return compare(ctx, cmd, &warm.Comparison{Other: address, Look: ask}, list, o, asJSON)
			}
			look := func(ctx context.Context, key string) (string, error) { return ask(ctx, "", key) }
			sum, err := warm.Run(ctx, list, look, o)
			return printSummary(cmd, sum, err, asJSON)
		},
	}
	cmd.Flags().IntVar(&o.From, "from", 1, "the `line` to begin with")
	cmd.Flags().IntVar(&o.Rate, "rate", 50, "at most `n` lookups a second")
	cmd.Flags().IntVar(&o.Concurrency, "concurrency", 16, "at most `n` lookups at once")
	cmd.Flags().StringVar(&other, "compare", "", "compare with the program at `address`, host:port or unix:/path")
	jsonFlag(cmd, &asJSON)
	return cmd
}

// compare looks up the list at both, and prints the differences.
func compare(ctx context.Context, cmd *cobra.Command, c *warm.Comparison, list io.Reader, o warm.Options, asJSON bool) error {
	if _, err := c.Ask(ctx, probe); err != nil {
		cmd.PrintErrf("mta-sts-daemon: cannot ask %v: %v\n", c.Other, err)
		return exitUnasked
	}
	sum, err := warm.Run(ctx, list, c.LookUp, o)
	found := c.Result()
	if asJSON {
		if err := printJSON(cmd, struct {
			warm.Differences
			Summary warm.Summary `json:"summary"`
		}{found, sum}); err != nil {
			return err
		}
	} else {
		for _, d := range found.Differences {
			cmd.Printf("%s\n  here:  %s\n  there: %s\n", d.Domain, d.Ours, d.Other)
		}
		cmd.Printf("%s compared: %d equal, %d different, %d could not be asked at both.\n",
			layout.Count(sum.Looked, "domain"), found.Equal, len(found.Differences), sum.Failed)
		if sum.Failed > 0 {
			cmd.Println("The first that could not be asked is at", sum.FirstFailure)
		}
	}
	if err != nil {
		cmd.PrintErrf("mta-sts-daemon: ended early (%v); go on with --from %d\n", err, sum.Done+1)
	}
	if err != nil || sum.Failed > 0 || len(found.Differences) > 0 {
		return exitFailed
	}
	return nil
}

// probe is a key that no program asks the DNS about.
const probe = "[127.0.0.1]"

// unknown is how many lookups a list holds that can be read only once.
const unknown = -1

// openList opens the list named, and counts the lookups in it if it can.
func openList(name string, stdin io.Reader, from int) (list io.ReadCloser, lookups int, err error) {
	if name == "-" {
		return io.NopCloser(stdin), unknown, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, 0, err
	}
	lookups = warm.Count(f, from)
	if _, err := f.Seek(0, io.SeekStart); err != nil { // a pipe
		f.Close()
		return nil, 0, fmt.Errorf("%s cannot be read twice: hand it over as standard input, with -", name)
	}
	return f, lookups, nil
}

// newBar returns a progress bar over so many domains if a person sees it, else nil.
func newBar(cmd *cobra.Command, doing string, domains int) *progressbar.ProgressBar {
	stderr := cmd.ErrOrStderr()
	if !showsProgress(stderr) {
		return nil
	}
	bar := progressbar.NewOptions(domains,
		progressbar.OptionSetWriter(stderr),
		progressbar.OptionSetDescription(doing),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionSetItsString("domains"),
		progressbar.OptionFullWidth(),
		progressbar.OptionClearOnFinish(),
	)
	bar.RenderBlank() // the first domain may take long
	return bar
}

// printSummary prints the results of the list. err is why it ended early.
func printSummary(cmd *cobra.Command, sum warm.Summary, err error, asJSON bool) error {
	if asJSON {
		if err := printJSON(cmd, sum); err != nil {
			return err
		}
	} else {
		cmd.Printf("%s looked up: %d with an answer for Postfix, %d without, %d could not be judged.\n",
			layout.Count(sum.Looked-sum.Failed, "domain"), sum.Answered, sum.Not, sum.Undecided)
		for _, undecided := range sum.UndecidedKeys {
			cmd.Println("Could not be judged:", undecided)
		}
		if more := sum.Undecided - len(sum.UndecidedKeys); more > 0 {
			cmd.Printf("and %d more\n", more)
		}
		if sum.Failed > 0 {
			cmd.Printf("%d could not be looked up, the first at %s\n", sum.Failed, sum.FirstFailure)
		}
	}
	if err != nil {
		cmd.PrintErrf("mta-sts-daemon: ended early (%v); go on with --from %d\n", err, sum.Done+1)
	}
	if err != nil || sum.Failed > 0 {
		return exitFailed
	}
	return nil
}
