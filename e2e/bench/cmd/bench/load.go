package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
	"mta-sts-daemon/e2e/bench/internal/proc"
)

// newLoad asks any server.
func newLoad() *cobra.Command {
	var s server
	var l load.Load
	var total, every time.Duration
	var domains uint32
	var zipf, absent bool
	var pid int
	c := &cobra.Command{Use: "load", Short: "Ask a server as fast as it answers", Args: cobra.NoArgs}
	f := c.Flags()
	f.StringVar(&s.TCP, "tcp", "", "IP:port of a socketmap server")
	f.StringVar(&s.Unix, "unix", "", "the path of its socket")
	f.StringVar(&s.TCPTable, "tcp-table", "", "IP:port of a tcp_table server")
	f.StringVar(&s.Map, "map", "postfix", "the socketmap's name")
	f.IntVar(&l.Connections, "connections", 8, "how many")
	f.IntVar(&l.Pipeline, "pipeline", 1, "how many lookups each has in flight")
	f.BoolVar(&l.Reconnect, "reconnect", false, "a new connection for every lookup")
	f.DurationVar(&total, "time", 5*time.Second, "for how long")
	f.DurationVar(&every, "every", time.Minute, "how often to print a line")
	f.Uint32Var(&domains, "domains", 1000, "how many domains to ask for")
	f.BoolVar(&zipf, "zipf", false, "a few of them often, most seldom")
	f.BoolVar(&absent, "absent", false, "those without a policy")
	f.IntVar(&pid, "pid", 0, "of the server, to tell its processor time and memory")
	c.MarkFlagsOneRequired("tcp", "unix", "tcp-table")
	c.MarkFlagsMutuallyExclusive("tcp", "unix", "tcp-table")
	c.RunE = func(*cobra.Command, []string) error {
		for _, way := range ways {
			if target, ok := s.target(way); ok {
				l.Target = target
			}
		}
		name, keys := bed.AppendDomain, load.Uniform
		if absent {
			name = bed.AppendAbsent
		}
		if zipf {
			keys = load.Zipf
		}
		l.Keys = keys(name, domains)
		for l.Duration = min(every, total); total > 0; total -= every {
			s, err := measure(pid, l, !absent)
			if err != nil {
				return err
			}
			if err := report(s, pid); err != nil {
				return err
			}
		}
		return nil
	}
	return c
}

// report prints a line about one load.
func report(s sample, pid int) error {
	fmt.Printf("%.0f lookups/s, %d of %d with a wrong reply, p50 %v, p99 %v", s.rate, s.wrong, s.lookups, s.p50, s.p99)
	if pid != 0 {
		memory, err := proc.Anonymous(pid)
		if err != nil {
			return err
		}
		used := series{samples: []sample{s}}
		fmt.Printf(", %.1f µs of processor time each, %.1f MB of memory", used.cpu(), float64(memory)/1e6)
	}
	fmt.Println()
	return nil
}
