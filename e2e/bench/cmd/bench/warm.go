package main

import (
	"cmp"
	"fmt"
	"strings"

	"mta-sts-daemon/e2e/bench/internal/bed"
	"mta-sts-daemon/e2e/bench/internal/load"
)

// workload is one way to ask.
type workload struct {
	way                   way
	connections, pipeline int
	reconnect             bool
}

func (w workload) String() string {
	switch {
	case w.reconnect:
		return fmt.Sprintf("%s, %d × a connection a lookup", w.way, w.connections)
	case w.pipeline > 1:
		return fmt.Sprintf("%s, %d × %d pipelined", w.way, w.connections, w.pipeline)
	case w.connections == 1:
		return fmt.Sprintf("%s, 1 connection", w.way)
	default:
		return fmt.Sprintf("%s, %d connections", w.way, w.connections)
	}
}

// workloads of the warm part.
func workloads() (all []workload) {
	for _, w := range []way{overTCP, overUnix} {
		all = append(all,
			workload{w, 1, 1, false},
			workload{w, 8, 1, false},
			workload{w, 64, 1, false},
			workload{w, 8, 16, false},
			workload{w, 8, 1, true},
		)
	}
	return append(all, workload{overTCPTable, 8, 1, false})
}

// warm measures lookups that memory answers.
func (b *bench) warm() error {
	if len(b.peers) > 0 { // the daemon has a file; they must ask
		stop, err := b.startBed(b.domains)
		if err != nil {
			return err
		}
		defer stop()
	}
	servers, stop, err := b.startAll(b.domains, append([]server{nullServer(false), nullServer(true), b.ours(daneOff, b.domains)}, b.peers...)...)
	defer stop()
	if err != nil {
		return err
	}
	plain, batching, others := servers[0], servers[1], servers[2:]
	fmt.Printf("\nWarm: %d known domains, asked for at random\n%s\n", b.domains, heading)
	keys := load.Uniform(bed.AppendDomain, b.domains)
	for _, w := range workloads() {
		if !strings.Contains(w.String(), b.only) {
			continue
		}
		baseline := plain
		if w.pipeline > 1 {
			baseline = batching
		}
		if err := b.compare(w.String(), w, keys, baseline, others...); err != nil {
			return err
		}
	}
	return nil
}

// startAll starts servers and has them know the first domains. stop is to be called
// after an error too.
func (b *bench) startAll(domains uint32, servers ...server) (started []*running, stop func(), err error) {
	stop = func() {
		for _, r := range started {
			r.stop()
		}
	}
	for _, s := range servers {
		r, err := b.start(s)
		if err != nil {
			return started, stop, err
		}
		started = append(started, r)
		if err := r.know(domains); err != nil {
			return started, stop, err
		}
	}
	return started, stop, nil
}

// compare measures the baseline and those of the others that answer in the
// workload's way, and prints a row for each, called what.
func (b *bench) compare(what string, w workload, keys load.Keys, baseline *running, others ...*running) error {
	compared := []*running{baseline}
	for _, r := range others {
		if _, ok := r.target(w.way); ok {
			compared = append(compared, r)
		}
	}
	for _, s := range b.measureAll(what, w, func() load.Keys { return keys }, compared...) {
		if s.failed != nil {
			return s.failed
		}
	}
	return nil
}

// measureAll measures servers one after the other, as many rounds as are wanted. keys
// are those of a round. It prints a row for each server, called what; the first one is
// the baseline. A server that fails is left out from then on.
func (b *bench) measureAll(what string, w workload, keys func() load.Keys, servers ...*running) []series {
	results := make([]series, len(servers))
	for round := range b.rounds {
		asked := keys()
		for i := range servers {
			i = (i + round) % len(servers) // nobody is always the first
			r := servers[i]
			results[i].server = r.Name
			if results[i].failed != nil {
				continue
			}
			target, _ := r.target(w.way)
			l := load.Load{Target: target, Connections: w.connections, Pipeline: w.pipeline, Reconnect: w.reconnect, Keys: asked}
			if !asked.Once {
				l.Duration = b.time
			}
			s, err := measure(r.pid, l, true)
			if err != nil {
				results[i].failed = fmt.Errorf("%s: %s: %w", r.Name, what, err)
				continue
			}
			results[i].samples = append(results[i].samples, s)
		}
	}
	for _, s := range results {
		if err := cmp.Or(s.failed, results[0].failed); err != nil {
			fmt.Println(err)
		} else {
			fmt.Println(row(what, s, results[0]))
		}
	}
	return results
}
