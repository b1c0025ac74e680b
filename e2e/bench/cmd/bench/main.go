// Command bench measures the daemon next to a null server, which shows the limit
// of the machine, and next to other daemons of its kind. The documentation of
// package bench has its usage.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/e2e/bench/internal/proc"
)

func main() {
	if err := newRoot().Execute(); err != nil {
		os.Exit(1) // cobra has told
	}
}

func newRoot() *cobra.Command {
	b := &bench{}
	root := &cobra.Command{
		Use:          "bench",
		Short:        "Measure mta-sts-daemon beside a null server and its peers, all parts",
		Args:         cobra.NoArgs,
		SilenceUsage: true,
		RunE:         b.part((*bench).warm, (*bench).cold, (*bench).grow, (*bench).first),
	}
	flags := root.PersistentFlags()
	flags.IntVar(&b.rounds, "rounds", 25, "how often everything is measured; tables have the medians")
	flags.DurationVar(&b.time, "time", 200*time.Millisecond, "how long each warm load lasts in a round")
	flags.StringVar(&b.program, "daemon", "build/mta-sts-daemon", "the daemon to measure")
	flags.StringVar(&b.unit, "unit", "mta-sts-daemon.service", "the unit whose environment it gets")
	flags.StringVar(&b.peersFile, "peers", "", "YAML file of other servers to measure beside it")
	flags.StringVar(&b.only, "only", "", "which loads of the warm and postfix parts, by words of their names, such as \"unix, 64\"")
	flags.Uint32Var(&b.domains, "domains", 1000, "how many domains are known in the warm part")
	flags.Uint32Var(&b.policies, "policies", 500, "how many unknown domains with a policy are asked for in a round of the cold part")
	flags.Uint32Var(&b.absences, "absences", 4000, "how many domains without")
	flags.DurationVar(&b.roundTrip, "rtt", 25*time.Millisecond, "how far off servers are in the first part, as a round trip")
	flags.UintSliceVar(&b.sizes, "sizes", []uint{1000, 100_000}, "how many domains are known in each step of the growing part; in a chart the largest counts")
	flags.StringVar(&b.chart, "chart", "", "SVG that the growing part draws in place of its tables; peers take part")
	root.AddCommand(
		&cobra.Command{Use: "warm", Short: "Lookups that memory answers", Args: cobra.NoArgs, RunE: b.part((*bench).warm)},
		&cobra.Command{Use: "cold", Short: "Lookups of domains not asked for before", Args: cobra.NoArgs, RunE: b.part((*bench).cold)},
		&cobra.Command{Use: "first", Short: "First lookups, with all servers some way off", Args: cobra.NoArgs, RunE: b.part((*bench).first)},
		&cobra.Command{Use: "grow", Short: "More domains and more connections", Args: cobra.NoArgs, RunE: b.part((*bench).grow)},
		&cobra.Command{Use: "profile", Short: "Where the daemon spends its time, by perf(1)", Args: cobra.NoArgs, RunE: b.part((*bench).profile)},
		newFleet(b), b.newPostfix(), newLoad(), newNull(), newBed(), newBare(), newFar(),
	)
	return root
}

// bench is what all parts of a run share.
type bench struct {
	rounds                   int
	time                     time.Duration
	program, unit, peersFile string
	only, chart              string
	mail                     mailFlags
	domains                  uint32
	policies, absences       uint32
	roundTrip                time.Duration
	sizes                    []uint

	dir     string // for files of this run
	cpus    proc.CPUs
	unitEnv []string
	peers   []server
}

// part returns a command that does parts of a run, inside namespaces of its own.
func (b *bench) part(parts ...func(*bench) error) func(*cobra.Command, []string) error {
	return func(*cobra.Command, []string) error {
		var inside bool
		if b.dir, b.cpus, inside = proc.Inside(); !inside {
			return enter()
		}
		if err := b.prepare(); err != nil {
			return err
		}
		for _, part := range parts {
			if err := part(b); err != nil {
				return err
			}
		}
		return nil
	}
}

// enter does not return if there is an inner process.
func enter() error {
	cpus, err := proc.Allowed()
	if err != nil {
		return err
	}
	if cpus.Server == cpus.Load {
		fmt.Fprintln(os.Stderr, "bench: there is one processor for all, so the ratios tell little")
	}
	code, err := proc.Enter(cpus)
	if err != nil {
		return err
	}
	os.Exit(code)
	return nil
}

func (b *bench) prepare() (err error) {
	if b.unitEnv, err = readUnitEnv(b.unit); err != nil {
		return err
	}
	if b.peersFile != "" {
		if b.peers, err = readPeers(b.peersFile); err != nil {
			return err
		}
	}
	return proc.Furnish(b.dir)
}
